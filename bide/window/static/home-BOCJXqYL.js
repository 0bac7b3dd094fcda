import{a as e,H as t}from"./index-DSCF6Cpj.js";function a(){return e(t,{title:"Home"})}export{a as default};
