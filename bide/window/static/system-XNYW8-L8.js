import{a as t,H as e}from"./index-C-6gdOUa.js";function r(){return t(e,{title:"System"})}export{r as default};
