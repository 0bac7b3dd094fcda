import{a as o,H as t}from"./index-C-6gdOUa.js";function e(){return o(t,{title:"Pools"})}export{e as default};
