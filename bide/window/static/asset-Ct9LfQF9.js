import{a as t,H as e}from"./index-RKwxjM3N.js";function a(){return t(e,{title:"Asset"})}export{a as default};
