import{a as t,H as a}from"./index-oYBamC7M.js";function i(){return t(a,{title:"Waits"})}export{i as default};
