import{a,H as r}from"./index-CAzypOoj.js";function o(){return a(r,{title:"Approvals"})}export{o as default};
