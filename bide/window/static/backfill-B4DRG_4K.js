import{a,H as t}from"./index-DlGEWUQa.js";function e(){return a(t,{title:"Backfill"})}export{e as default};
