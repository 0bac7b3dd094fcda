import{a as t,H as e}from"./index-C-6gdOUa.js";function a(){return t(e,{title:"Asset"})}export{a as default};
