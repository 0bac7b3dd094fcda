import{a as o,H as t}from"./index-DSCF6Cpj.js";function e(){return o(t,{title:"Pools"})}export{e as default};
