import{a,H as t}from"./index-D0whEbgq.js";function e(){return a(t,{title:"Tasks"})}export{e as default};
