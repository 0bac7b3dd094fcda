import{a as t,H as s}from"./index-4qR5TOPz.js";function a(){return t(s,{title:"Assets"})}export{a as default};
