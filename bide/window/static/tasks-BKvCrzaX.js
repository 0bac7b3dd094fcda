import{a,H as t}from"./index-DrxlGXFL.js";function e(){return a(t,{title:"Tasks"})}export{e as default};
