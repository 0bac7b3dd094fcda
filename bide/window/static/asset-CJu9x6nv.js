import{a as t,H as e}from"./index-4qR5TOPz.js";function a(){return t(e,{title:"Asset"})}export{a as default};
