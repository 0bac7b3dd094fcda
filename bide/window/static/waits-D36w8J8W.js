import{a as t,H as a}from"./index-LxYz2I4A.js";function i(){return t(a,{title:"Waits"})}export{i as default};
