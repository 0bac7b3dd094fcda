-- Actions on many runs or DAGs by a filter: decided once, carried out in slices, each of them a transaction.

CREATE TABLE bulk (                             -- one an action; unfinished ones go on after a crash
    bulk_id  INTEGER PRIMARY KEY,
    verb     TEXT NOT NULL,                     -- cancel, rerun, pause, unpause
    filter   TEXT NOT NULL,                     -- JSON, as it was said
    args     TEXT NOT NULL,                     -- JSON: what each command is given beside its target
    targets  TEXT NOT NULL,                     -- JSON: ids of runs, or of DAGs, in the order they are taken
    total    INTEGER NOT NULL,
    done     INTEGER NOT NULL DEFAULT 0,
    refused  INTEGER NOT NULL DEFAULT 0,        -- done + refused: how far it has come
    told     TEXT NOT NULL DEFAULT '[]',        -- JSON: the first that were refused, [id, why]
    begun_us INTEGER NOT NULL,
    ended_us INTEGER                            -- NULL: it goes on
) STRICT;
CREATE INDEX bulk_unfinished ON bulk (bulk_id) WHERE ended_us IS NULL;
CREATE INDEX run_to_rerun ON run (run_id) WHERE state IN ('failed', 'cancelled');
