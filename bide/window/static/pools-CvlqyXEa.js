import{a as o,H as t}from"./index-4qR5TOPz.js";function e(){return o(t,{title:"Pools"})}export{e as default};
