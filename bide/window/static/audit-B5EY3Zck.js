import{a as t,H as a}from"./index-D0whEbgq.js";function i(){return t(a,{title:"Audit"})}export{i as default};
