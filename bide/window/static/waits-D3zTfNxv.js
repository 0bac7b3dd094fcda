import{a as t,H as a}from"./index-DZtc4KTT.js";function i(){return t(a,{title:"Waits"})}export{i as default};
