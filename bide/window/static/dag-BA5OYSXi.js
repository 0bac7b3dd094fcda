import{a,H as t}from"./index-ClFl0EcG.js";function r(){return a(t,{title:"Dag"})}export{r as default};
