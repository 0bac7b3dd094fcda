-- Retention: which ids were given although their rows are gone, what is half removed, and how references are found.

CREATE TABLE last_id (                          -- the highest id ever given: none is given again to another row
    name TEXT PRIMARY KEY,                      -- as the engine counts it: run, instance, attempt, event, ...
    id   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pruning (                          -- runs that are being removed, in slices: no longer to be taken up
    run_id INTEGER PRIMARY KEY REFERENCES run (run_id)
) STRICT;

-- What a removal asks of each row: who refers to it. None of these is on the way of an ordinary task.
CREATE INDEX event_apart ON event (subject, subject_id) WHERE run_id IS NULL;
CREATE INDEX run_of_version ON run (version_id);
CREATE INDEX wait_of_attempt ON wait (attempt_id);
CREATE INDEX step_of_attempt ON step (attempt_id);
CREATE INDEX asset_version_of_run ON asset_version (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX asset_version_of_attempt ON asset_version (attempt_id) WHERE attempt_id IS NOT NULL;
CREATE INDEX asset_version_of_code ON asset_version (dag_version_id) WHERE dag_version_id IS NOT NULL;
CREATE INDEX asset_version_of_plan ON asset_version (plan_id) WHERE plan_id IS NOT NULL;
CREATE INDEX asset_pending_of_version ON asset_pending (asset_version_id);
CREATE INDEX asset_drop_of_version ON asset_drop (asset_version_id);
CREATE INDEX reading_of_input ON reading (input_id);
CREATE INDEX decision_of_run ON decision (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX decision_of_version ON decision (asset_version_id) WHERE asset_version_id IS NOT NULL;
CREATE INDEX approval_of_run ON approval (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX approval_of_decision ON approval (decision_id) WHERE decision_id IS NOT NULL;
CREATE INDEX invalidation_of_version ON invalidation (asset_version_id) WHERE asset_version_id IS NOT NULL;
CREATE INDEX rerun_plan_of_invalidation ON rerun_plan (invalidation_id) WHERE invalidation_id IS NOT NULL;
CREATE INDEX incident_of_plan ON incident (plan_id) WHERE plan_id IS NOT NULL;
CREATE INDEX incident_of_invalidation ON incident (invalidation_id) WHERE invalidation_id IS NOT NULL;
