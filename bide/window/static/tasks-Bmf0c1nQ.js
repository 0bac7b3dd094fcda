import{a,H as t}from"./index-DSCF6Cpj.js";function e(){return a(t,{title:"Tasks"})}export{e as default};
