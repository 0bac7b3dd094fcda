import{a,H as r}from"./index-ClFl0EcG.js";function o(){return a(r,{title:"Approvals"})}export{o as default};
