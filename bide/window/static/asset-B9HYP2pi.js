import{a as t,H as e}from"./index-ClFl0EcG.js";function a(){return t(e,{title:"Asset"})}export{a as default};
