import{a as t,H as a}from"./index-4qR5TOPz.js";function i(){return t(a,{title:"Waits"})}export{i as default};
