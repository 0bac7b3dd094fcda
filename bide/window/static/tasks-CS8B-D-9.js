import{a,H as t}from"./index-o-05OIeG.js";function e(){return a(t,{title:"Tasks"})}export{e as default};
