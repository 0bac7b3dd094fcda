-- Backfills: historical intervals of one DAG, run as one thing with a state of its own; and spent budgets.

CREATE TABLE backfill (
    backfill_id INTEGER PRIMARY KEY,
    dag_id      INTEGER NOT NULL REFERENCES dag (dag_id),
    state       TEXT NOT NULL,                  -- running, paused, success, failed, cancelled
    options     TEXT NOT NULL,                  -- JSON: order, max_active, overwrite, weight, tasks, params, caps
    plan_hash   TEXT NOT NULL,                  -- of the plan it was started from
    created_us  INTEGER NOT NULL,
    ended_us    INTEGER,
    reason      TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX backfill_unfinished ON backfill (backfill_id) WHERE ended_us IS NULL;

CREATE TABLE backfill_interval (
    backfill_id INTEGER NOT NULL REFERENCES backfill (backfill_id),
    place       INTEGER NOT NULL,               -- in the order of the backfill, from 0
    fires_us    INTEGER NOT NULL,               -- when its schedule would have fired, or did
    start_us    INTEGER NOT NULL,               -- data interval [start, end)
    end_us      INTEGER NOT NULL,
    state       TEXT NOT NULL,                  -- pending, running, success, failed, cancelled, skipped
    run_id      INTEGER REFERENCES run (run_id),
    reason      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (backfill_id, place),
    UNIQUE (backfill_id, start_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX backfill_interval_of_run ON backfill_interval (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE budget (                           -- what tasks have spent in the window that is open
    name     TEXT PRIMARY KEY,
    since_us INTEGER NOT NULL,                  -- where the window begins
    spent    REAL NOT NULL,
    by_backfills REAL NOT NULL                  -- of that, by runs of backfills
) STRICT, WITHOUT ROWID;
