-- Assets: their versions, what each consumer has had of them, and which versions made which run.
-- A consumer is a DAG whose schedule looks at assets. Every version is, for each of its consumers,
-- beyond the cursor, pending, in a run's `run_trigger`, or in `asset_drop`.

CREATE TABLE asset (
    asset_id   INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE asset_version (                    -- one a success of a task with that outlet
    asset_version_id INTEGER PRIMARY KEY,
    asset_id    INTEGER NOT NULL REFERENCES asset (asset_id),
    dag_id      INTEGER REFERENCES dag (dag_id),
    run_id      INTEGER REFERENCES run (run_id),
    instance_id INTEGER REFERENCES task_instance (instance_id),
    start_us    INTEGER NOT NULL,               -- the run's interval [start, end)
    end_us      INTEGER NOT NULL,
    state       TEXT NOT NULL,                  -- published
    created_us  INTEGER NOT NULL
) STRICT;
CREATE INDEX asset_version_of_asset ON asset_version (asset_id, asset_version_id);
CREATE INDEX asset_version_span ON asset_version (asset_id, start_us, end_us);

CREATE TABLE asset_cursor (                     -- the last version that a consumer has been given
    dag_id           INTEGER NOT NULL REFERENCES dag (dag_id),
    asset_id         INTEGER NOT NULL REFERENCES asset (asset_id),
    asset_version_id INTEGER NOT NULL,          -- 0: none yet
    split_us         INTEGER,                   -- of that one only the periods before this instant
    PRIMARY KEY (dag_id, asset_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE asset_pending (                    -- given, and not accounted for
    dag_id           INTEGER NOT NULL REFERENCES dag (dag_id),
    asset_version_id INTEGER NOT NULL REFERENCES asset_version (asset_version_id),
    part_us          INTEGER NOT NULL,          -- the start of a period of it, or its own
    again            INTEGER NOT NULL,          -- how often it was replayed
    PRIMARY KEY (dag_id, asset_version_id, part_us, again)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_trigger (                      -- the versions that made a run
    run_id           INTEGER NOT NULL REFERENCES run (run_id),
    asset_version_id INTEGER NOT NULL REFERENCES asset_version (asset_version_id),
    part_us          INTEGER NOT NULL,
    again            INTEGER NOT NULL,
    used             INTEGER NOT NULL,          -- 0: passed over for a newer one (consume="latest")
    PRIMARY KEY (run_id, asset_version_id, part_us, again)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_trigger_of_version ON run_trigger (asset_version_id);

CREATE TABLE asset_drop (                       -- accounted for without a run
    dag_id           INTEGER NOT NULL REFERENCES dag (dag_id),
    asset_version_id INTEGER NOT NULL REFERENCES asset_version (asset_version_id),
    part_us          INTEGER NOT NULL,
    again            INTEGER NOT NULL,
    at_us            INTEGER NOT NULL,
    reason           TEXT NOT NULL
) STRICT;
CREATE INDEX asset_drop_of_dag ON asset_drop (dag_id, asset_version_id);
