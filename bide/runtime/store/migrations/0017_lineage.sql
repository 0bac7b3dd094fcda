-- How far lineage has been sent to the outside: a start goes on from there.

CREATE TABLE lineage_sent (
    sink TEXT PRIMARY KEY,                      -- openlineage
    seq  INTEGER NOT NULL                       -- the last line of the journal that was sent, or told nothing
) STRICT, WITHOUT ROWID;
