import{a as t,H as s}from"./index-C-6gdOUa.js";function a(){return t(s,{title:"Assets"})}export{a as default};
