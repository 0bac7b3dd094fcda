import{a as o,H as t}from"./index-Bi4J2JLs.js";function e(){return o(t,{title:"Pools"})}export{e as default};
