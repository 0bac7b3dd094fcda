function o(l){const n=["B","kB","MB","GB","TB"];let e=0,t=l;for(;t>=1e3&&e<n.length-1;)t/=1e3,e++;return`${t<10&&e>0?t.toFixed(1):Math.round(t)} ${n[e]}`}export{o as b};
