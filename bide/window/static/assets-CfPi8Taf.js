import{a as t,H as s}from"./index-D0whEbgq.js";function a(){return t(s,{title:"Assets"})}export{a as default};
