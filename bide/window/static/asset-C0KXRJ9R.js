import{a as t,H as e}from"./index-o-05OIeG.js";function a(){return t(e,{title:"Asset"})}export{a as default};
