import{a,H as t}from"./index-RKwxjM3N.js";function r(){return a(t,{title:"Task"})}export{r as default};
