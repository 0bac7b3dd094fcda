import{a as o,H as t}from"./index-B_gZooOk.js";function e(){return o(t,{title:"Pools"})}export{e as default};
