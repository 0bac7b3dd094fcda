import{a as o,H as t}from"./index-DZtc4KTT.js";function e(){return o(t,{title:"Pools"})}export{e as default};
