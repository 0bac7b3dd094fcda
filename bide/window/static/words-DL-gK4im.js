const o=l=>/^[\w@%+=:,./-]+$/.test(l)?l:`'${l.replaceAll("'","'\\''")}'`;export{o as w};
