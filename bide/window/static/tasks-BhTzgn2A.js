import{a,H as t}from"./index-4qR5TOPz.js";function e(){return a(t,{title:"Tasks"})}export{e as default};
