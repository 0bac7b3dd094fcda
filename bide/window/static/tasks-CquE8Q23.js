import{a,H as t}from"./index-C-6gdOUa.js";function e(){return a(t,{title:"Tasks"})}export{e as default};
