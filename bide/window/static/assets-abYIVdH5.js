import{a as t,H as s}from"./index-kytlQhyD.js";function a(){return t(s,{title:"Assets"})}export{a as default};
