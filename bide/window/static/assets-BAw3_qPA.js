import{a as t,H as s}from"./index-o-05OIeG.js";function a(){return t(s,{title:"Assets"})}export{a as default};
