import{a as o,H as t}from"./index-RKwxjM3N.js";function e(){return o(t,{title:"Pools"})}export{e as default};
