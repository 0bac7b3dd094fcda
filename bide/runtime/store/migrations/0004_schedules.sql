-- Schedules: what is to be caught up, what was not run and why, what is waited for without a run.

ALTER TABLE dag ADD COLUMN backlog TEXT NOT NULL DEFAULT '[]';  -- JSON [[after_us, until_us], ...]: missed, to be run

CREATE TABLE skipped_firing (                   -- decisions not to run: never changed
    skip_id  INTEGER PRIMARY KEY,
    dag_id   INTEGER NOT NULL REFERENCES dag (dag_id),
    from_us  INTEGER NOT NULL,                  -- the first and the last firing it is about
    until_us INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    at_us    INTEGER NOT NULL                   -- when it was decided
) STRICT;
CREATE INDEX skipped_of_dag ON skipped_firing (dag_id, skip_id);

CREATE TABLE standing (                         -- triggers of schedules, waited for as long as the DAG is there
    standing_id INTEGER PRIMARY KEY,            -- from the same count as wait_id
    dag_id      INTEGER NOT NULL REFERENCES dag (dag_id),
    kind        TEXT NOT NULL,
    trigger     TEXT NOT NULL,                  -- JSON; secrets by reference only
    poll_us     INTEGER NOT NULL,
    since_us    INTEGER NOT NULL,
    firings     INTEGER NOT NULL DEFAULT 0,
    fired_us    INTEGER,                        -- when it fired last
    event_key   TEXT NOT NULL DEFAULT '',       -- the last event's: the same event is not another firing
    ended_us    INTEGER                         -- its schedule no longer has it
) STRICT;
CREATE INDEX standing_held ON standing (standing_id) WHERE ended_us IS NULL;
