import{a,H as t}from"./index-ClFl0EcG.js";function e(){return a(t,{title:"Backfills"})}export{e as default};
