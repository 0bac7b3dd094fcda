import{a as t,H as a}from"./index-D0whEbgq.js";function i(){return t(a,{title:"Waits"})}export{i as default};
