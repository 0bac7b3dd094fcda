import{a as e,H as t}from"./index-ClFl0EcG.js";function a(){return e(t,{title:"Home"})}export{a as default};
