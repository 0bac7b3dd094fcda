import{a as t,H as e}from"./index-kytlQhyD.js";function a(){return t(e,{title:"Asset"})}export{a as default};
