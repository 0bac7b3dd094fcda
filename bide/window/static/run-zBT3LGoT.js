import{a as t,H as a}from"./index-CAzypOoj.js";function n(){return t(a,{title:"Run"})}export{n as default};
