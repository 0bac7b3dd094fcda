import{a as t,H as a}from"./index-o-05OIeG.js";function i(){return t(a,{title:"Waits"})}export{i as default};
