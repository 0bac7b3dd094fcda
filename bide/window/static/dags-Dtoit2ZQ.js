import{a,H as t}from"./index-ClFl0EcG.js";function r(){return a(t,{title:"Dags"})}export{r as default};
