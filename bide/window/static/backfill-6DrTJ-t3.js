import{a,H as t}from"./index-C-6gdOUa.js";function e(){return a(t,{title:"Backfill"})}export{e as default};
