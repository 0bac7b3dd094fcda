import{a as t,H as e}from"./index-ClFl0EcG.js";function r(){return t(e,{title:"System"})}export{r as default};
