import{a as t,H as e}from"./index-D0whEbgq.js";function r(){return t(e,{title:"System"})}export{r as default};
