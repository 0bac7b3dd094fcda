import{a,H as t}from"./index-DSCF6Cpj.js";function r(){return a(t,{title:"Task"})}export{r as default};
