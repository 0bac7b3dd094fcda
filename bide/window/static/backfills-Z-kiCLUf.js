import{a,H as t}from"./index-CAzypOoj.js";function e(){return a(t,{title:"Backfills"})}export{e as default};
