import{a as e,H as t}from"./index-CAzypOoj.js";function a(){return e(t,{title:"Home"})}export{a as default};
