import{a,H as t}from"./index-RKwxjM3N.js";function e(){return a(t,{title:"Tasks"})}export{e as default};
