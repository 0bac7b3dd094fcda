import{a,H as t}from"./index-DrxlGXFL.js";function e(){return a(t,{title:"Backfill"})}export{e as default};
