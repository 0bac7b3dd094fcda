import{a as t,H as s}from"./index-ClFl0EcG.js";function a(){return t(s,{title:"Assets"})}export{a as default};
