import{a as o,H as t}from"./index-LxYz2I4A.js";function e(){return o(t,{title:"Pools"})}export{e as default};
