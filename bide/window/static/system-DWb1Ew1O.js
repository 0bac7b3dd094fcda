import{a as t,H as e}from"./index-RKwxjM3N.js";function r(){return t(e,{title:"System"})}export{r as default};
