import{a as e,H as t}from"./index-RKwxjM3N.js";function a(){return e(t,{title:"Home"})}export{a as default};
