import{a as o,H as t}from"./index-D0whEbgq.js";function e(){return o(t,{title:"Pools"})}export{e as default};
