import{a as t,H as a}from"./index-C-6gdOUa.js";function i(){return t(a,{title:"Audit"})}export{i as default};
