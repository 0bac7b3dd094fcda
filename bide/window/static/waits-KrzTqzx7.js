import{a as t,H as a}from"./index-BbkPv2P-.js";function i(){return t(a,{title:"Waits"})}export{i as default};
