-- The core: DAGs and their versions, runs, task instances, attempts, waits, and the journal.
-- Instants are integer microseconds since the epoch, UTC. JSON is text. Ids are given by the engine.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', 0), ('batch', 0);     -- starts so far; the last batch that landed

CREATE TABLE dag (
    dag_id        INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    version_id    INTEGER,                      -- the newest; runs keep their own
    schedule      TEXT NOT NULL,                -- JSON of the schedule
    options       TEXT NOT NULL,                -- JSON: max_active_runs, catchup, on_pause, ...
    paused        INTEGER NOT NULL DEFAULT 0,
    removed       INTEGER NOT NULL DEFAULT 0,
    anchor_us     INTEGER,                      -- of `Every`, kept from the first load
    watermark_us  INTEGER,                      -- the last firing that was decided
    next_fires_us INTEGER
) STRICT;

CREATE TABLE dag_version (
    version_id INTEGER PRIMARY KEY,
    dag_id     INTEGER NOT NULL REFERENCES dag (dag_id),
    hash       TEXT NOT NULL,
    spec       TEXT NOT NULL,                   -- JSON of the whole graph
    created_us INTEGER NOT NULL,
    UNIQUE (dag_id, hash)
) STRICT;

CREATE TABLE run (
    run_id        INTEGER PRIMARY KEY,
    dag_id        INTEGER NOT NULL REFERENCES dag (dag_id),
    version_id    INTEGER NOT NULL REFERENCES dag_version (version_id),
    state         TEXT NOT NULL,
    kind          TEXT NOT NULL,                -- scheduled, manual
    run_key       TEXT NOT NULL,                -- unique within the DAG: what it was started for
    logical_us    INTEGER NOT NULL,
    start_us      INTEGER NOT NULL,             -- data interval [start, end)
    end_us        INTEGER NOT NULL,
    scheduled_us  INTEGER NOT NULL,             -- scheduled_for: the instant it was due
    params        TEXT NOT NULL,
    created_us    INTEGER NOT NULL,
    started_us    INTEGER,
    ended_us      INTEGER,
    deadline_us   INTEGER,
    reason        TEXT NOT NULL DEFAULT '',
    UNIQUE (dag_id, run_key)
) STRICT;
CREATE INDEX run_unfinished ON run (run_id) WHERE ended_us IS NULL;
CREATE INDEX run_logical ON run (dag_id, logical_us);
CREATE INDEX run_of_dag ON run (dag_id);                -- with the rowid behind it: newest first
CREATE UNIQUE INDEX run_one_a_slot ON run (dag_id, logical_us) WHERE kind = 'scheduled';

CREATE TABLE task_instance (
    instance_id   INTEGER PRIMARY KEY,
    run_id        INTEGER NOT NULL REFERENCES run (run_id),
    task          TEXT NOT NULL,
    map_index     INTEGER NOT NULL DEFAULT -1,
    state         TEXT NOT NULL,
    attempt       INTEGER NOT NULL DEFAULT 0,   -- starts, of any outcome
    failures      INTEGER NOT NULL DEFAULT 0,   -- spent of the retry budget
    lost          INTEGER NOT NULL DEFAULT 0,   -- lost in a row
    attempt_id    INTEGER,                      -- the current or last attempt
    since_us      INTEGER NOT NULL,             -- in this state since
    due_us        INTEGER,                      -- up_for_retry, rescheduled: the next start
    deadline_us   INTEGER,                      -- absolute, from the first ready
    reason        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX task_instance_of_run ON task_instance (run_id, task, map_index);

CREATE TABLE output (
    instance_id INTEGER PRIMARY KEY REFERENCES task_instance (instance_id),
    value       TEXT NOT NULL
) STRICT;

CREATE TABLE attempt (
    attempt_id  INTEGER PRIMARY KEY,
    instance_id INTEGER NOT NULL REFERENCES task_instance (instance_id),
    number      INTEGER NOT NULL,
    state       TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    started_us  INTEGER NOT NULL,
    ended_us    INTEGER,
    active_us   INTEGER NOT NULL DEFAULT 0,     -- spent with a slot before the current stretch
    error       TEXT,
    metrics     TEXT
) STRICT;
CREATE INDEX attempt_of_instance ON attempt (instance_id);

CREATE TABLE process (                          -- what a process or shell attempt started
    attempt_id INTEGER PRIMARY KEY REFERENCES attempt (attempt_id),
    pid        INTEGER NOT NULL,                -- also the process group
    started    INTEGER NOT NULL,                -- start time in clock ticks since boot
    boot_id    TEXT NOT NULL
) STRICT;

CREATE TABLE wait (
    wait_id     INTEGER PRIMARY KEY,
    instance_id INTEGER NOT NULL REFERENCES task_instance (instance_id),
    attempt_id  INTEGER NOT NULL REFERENCES attempt (attempt_id),
    key         TEXT NOT NULL,                  -- '' for a sensor, else the name within the body
    kind        TEXT NOT NULL,
    trigger     TEXT NOT NULL,                  -- JSON; secrets by reference only
    state       TEXT NOT NULL,
    created_us  INTEGER NOT NULL,
    deadline_us INTEGER NOT NULL,
    poll_us     INTEGER NOT NULL,
    ended_us    INTEGER,
    event       TEXT,
    reason      TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX wait_open ON wait (wait_id) WHERE state = 'open';
CREATE INDEX wait_of_instance ON wait (instance_id);

CREATE TABLE step (                             -- results of `ctx.once`
    instance_id INTEGER NOT NULL REFERENCES task_instance (instance_id),
    attempt_id  INTEGER NOT NULL REFERENCES attempt (attempt_id),
    name        TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (instance_id, attempt_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE watermark (                        -- `ctx.watermark`: moves only with a success
    dag_id INTEGER NOT NULL REFERENCES dag (dag_id),
    task   TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (dag_id, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (                      -- answers to commands that bore a key
    key        TEXT PRIMARY KEY,
    result     TEXT NOT NULL,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event (                            -- the journal: one row a transition, append-only
    seq         INTEGER PRIMARY KEY,
    at_us       INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    subject     TEXT NOT NULL,                  -- run, instance, attempt, wait, dag, command, clock
    subject_id  INTEGER NOT NULL,
    run_id      INTEGER,
    was         TEXT NOT NULL,
    now         TEXT NOT NULL,
    reason      TEXT NOT NULL
) STRICT;
CREATE INDEX event_of_run ON event (run_id, seq);
