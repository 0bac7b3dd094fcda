import{a as t,H as s}from"./index-B_gZooOk.js";function a(){return t(s,{title:"Assets"})}export{a as default};
