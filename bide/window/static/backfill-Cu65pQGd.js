import{a,H as t}from"./index-ClFl0EcG.js";function e(){return a(t,{title:"Backfill"})}export{e as default};
