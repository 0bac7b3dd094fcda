import{a,H as t}from"./index-CAzypOoj.js";function r(){return a(t,{title:"Dag"})}export{r as default};
