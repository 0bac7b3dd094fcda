import{a as o,H as t}from"./index-ClFl0EcG.js";function e(){return o(t,{title:"Pools"})}export{e as default};
