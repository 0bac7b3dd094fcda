import{a,H as t}from"./index-DlGEWUQa.js";function r(){return a(t,{title:"Task"})}export{r as default};
