import{a as o,H as t}from"./index-o-05OIeG.js";function e(){return o(t,{title:"Pools"})}export{e as default};
