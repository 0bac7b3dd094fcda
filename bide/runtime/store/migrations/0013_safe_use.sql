-- What is safe to use: what was declared of assets, what each version was made of, what was decided and why.
-- Every node of the asset graph is a row of `asset`: sources, gates' assets and external effects as well. A
-- delivery of an effect is a version of it, so that lineage and blast radius see what has left.

ALTER TABLE asset ADD COLUMN node TEXT NOT NULL DEFAULT 'derived';
ALTER TABLE asset ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE asset ADD COLUMN criticality TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE asset ADD COLUMN spec TEXT NOT NULL DEFAULT '{}';      -- JSON of the whole declaration

CREATE TABLE contract (                         -- one an edge at a time; those that are over stay, decisions name them
    contract_id   INTEGER PRIMARY KEY,
    downstream_id INTEGER NOT NULL REFERENCES asset (asset_id),
    upstream_id   INTEGER NOT NULL REFERENCES asset (asset_id),
    kind          TEXT NOT NULL,
    spec          TEXT NOT NULL,                -- JSON
    source        TEXT NOT NULL,                -- the file that says so
    since_us      INTEGER NOT NULL,
    ended_us      INTEGER
) STRICT;
CREATE UNIQUE INDEX contract_of_edge ON contract (downstream_id, upstream_id) WHERE ended_us IS NULL;
CREATE INDEX contract_of_upstream ON contract (upstream_id) WHERE ended_us IS NULL;

CREATE TABLE gate (
    gate_id  INTEGER PRIMARY KEY,
    asset_id INTEGER NOT NULL REFERENCES asset (asset_id),
    name     TEXT NOT NULL,
    severity TEXT NOT NULL,
    owner    TEXT NOT NULL,
    spec     TEXT NOT NULL,                     -- JSON
    source   TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    ended_us INTEGER
) STRICT;
CREATE UNIQUE INDEX gate_of_asset ON gate (asset_id, name) WHERE ended_us IS NULL;

CREATE TABLE asset_schema (                     -- the schemas that versions had, each once
    schema_id INTEGER PRIMARY KEY,
    asset_id  INTEGER NOT NULL REFERENCES asset (asset_id),
    hash      TEXT NOT NULL,                    -- of the canonical JSON
    schema    TEXT NOT NULL,                    -- JSON
    since_us  INTEGER NOT NULL,
    UNIQUE (asset_id, hash)
) STRICT;

ALTER TABLE asset_version ADD COLUMN label TEXT NOT NULL DEFAULT '';        -- the place or name it was staged with
ALTER TABLE asset_version ADD COLUMN meta TEXT;                             -- JSON: rows and what else was said
ALTER TABLE asset_version ADD COLUMN schema_id INTEGER REFERENCES asset_schema (schema_id);
ALTER TABLE asset_version ADD COLUMN dag_version_id INTEGER REFERENCES dag_version (version_id);   -- the code
ALTER TABLE asset_version ADD COLUMN attempt_id INTEGER REFERENCES attempt (attempt_id);
ALTER TABLE asset_version ADD COLUMN plan_id INTEGER;                       -- of the rerun plan it was made for
ALTER TABLE asset_version ADD COLUMN shadow INTEGER NOT NULL DEFAULT 0;     -- 1: never to be published
ALTER TABLE asset_version ADD COLUMN limits TEXT;       -- JSON: why degraded, known limitations, approver, expiry
ALTER TABLE asset_version ADD COLUMN since_us INTEGER;                      -- in this state; NULL: since created_us
ALTER TABLE asset_version ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE asset_version ADD COLUMN held INTEGER NOT NULL DEFAULT 0;       -- 1: validated, and its contracts said no
CREATE INDEX asset_version_held ON asset_version (asset_version_id) WHERE held = 1;
CREATE INDEX asset_version_of_instance ON asset_version (instance_id);

CREATE TABLE asset_input (                      -- what a version was made of
    asset_version_id INTEGER NOT NULL REFERENCES asset_version (asset_version_id),
    input_id         INTEGER NOT NULL REFERENCES asset_version (asset_version_id),
    kind             TEXT NOT NULL,             -- of the edge
    PRIMARY KEY (asset_version_id, input_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX asset_input_used ON asset_input (input_id, asset_version_id);

CREATE TABLE reading (                          -- the versions that an instance may read, as decided before it began
    instance_id INTEGER NOT NULL REFERENCES task_instance (instance_id),
    input_id    INTEGER NOT NULL REFERENCES asset_version (asset_version_id),
    kind        TEXT NOT NULL,
    PRIMARY KEY (instance_id, input_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE asset_check (                      -- what the gates found
    asset_version_id INTEGER NOT NULL REFERENCES asset_version (asset_version_id),
    name     TEXT NOT NULL,
    severity TEXT NOT NULL,
    passed   INTEGER NOT NULL,
    observed TEXT,                              -- JSON
    expected TEXT,                              -- JSON
    message  TEXT NOT NULL DEFAULT '',
    at_us    INTEGER NOT NULL,
    PRIMARY KEY (asset_version_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE decision (                         -- what was decided, on what was observed: replayable offline
    decision_id INTEGER PRIMARY KEY,
    at_us       INTEGER NOT NULL,
    phase       TEXT NOT NULL,                  -- executing, publishing, effect, use
    asset_id    INTEGER NOT NULL REFERENCES asset (asset_id),
    run_id      INTEGER REFERENCES run (run_id),
    instance_id INTEGER REFERENCES task_instance (instance_id),
    asset_version_id INTEGER REFERENCES asset_version (asset_version_id),
    consumer    TEXT NOT NULL DEFAULT '',       -- the purpose, of phase `use`
    start_us    INTEGER NOT NULL,
    end_us      INTEGER NOT NULL,
    level       TEXT NOT NULL,
    retryable   INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    issues      TEXT NOT NULL,                  -- JSON
    observed    TEXT NOT NULL,                  -- JSON: contracts, what there was of their upstreams, the instant
    by          TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX decision_of_asset ON decision (asset_id, decision_id);
CREATE INDEX decision_of_instance ON decision (instance_id) WHERE instance_id IS NOT NULL;

CREATE TABLE approval (
    approval_id INTEGER PRIMARY KEY,
    kind        TEXT NOT NULL,                  -- task, contract, effect, plan, degraded
    subject_id  INTEGER NOT NULL,               -- instance_id, plan_id or asset_version_id
    run_id      INTEGER REFERENCES run (run_id),
    decision_id INTEGER REFERENCES decision (decision_id),
    prompt      TEXT NOT NULL,
    who         TEXT NOT NULL,                  -- JSON: who may decide; empty: anybody
    asked_us    INTEGER NOT NULL,
    expires_us  INTEGER,                        -- then it is denied
    state       TEXT NOT NULL,                  -- open, approved, rejected, expired, withdrawn
    decided_us  INTEGER,
    by          TEXT NOT NULL DEFAULT '',
    why         TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX approval_open ON approval (approval_id) WHERE state = 'open';
CREATE INDEX approval_of_subject ON approval (kind, subject_id);

CREATE TABLE delivery (                         -- the ledger of external effects
    delivery_id      INTEGER PRIMARY KEY,
    asset_version_id INTEGER NOT NULL UNIQUE REFERENCES asset_version (asset_version_id),
    target      TEXT NOT NULL,
    semantics   TEXT NOT NULL,
    key         TEXT NOT NULL UNIQUE,           -- idempotency: the same input versions are delivered once
    state       TEXT NOT NULL,                  -- pending, delivered, failed, superseded, corrected
    corrects    INTEGER REFERENCES delivery (delivery_id),
    asked_us    INTEGER NOT NULL,
    delivered_us INTEGER,
    receipt     TEXT                            -- JSON: what the other side acknowledged
) STRICT;

CREATE TABLE invalidation (                     -- versions of an asset that are not to be trusted any more
    invalidation_id INTEGER PRIMARY KEY,
    asset_id      INTEGER NOT NULL REFERENCES asset (asset_id),
    start_us      INTEGER NOT NULL,             -- data interval [start, end) that is wrong
    end_us        INTEGER NOT NULL,
    effective_us  INTEGER,                      -- versions made before it alone are wrong; NULL: all
    cause         TEXT NOT NULL,
    severity      TEXT NOT NULL,
    reason        TEXT NOT NULL,
    evidence      TEXT NOT NULL,                -- JSON: URIs
    discovered_us INTEGER NOT NULL,
    by            TEXT NOT NULL,
    state         TEXT NOT NULL                 -- spreading, spread
) STRICT;
CREATE INDEX invalidation_of_asset ON invalidation (asset_id);

CREATE TABLE invalidation_hit (                 -- each version that is affected, and by which of its inputs
    invalidation_id  INTEGER NOT NULL REFERENCES invalidation (invalidation_id),
    asset_version_id INTEGER NOT NULL REFERENCES asset_version (asset_version_id),
    via_id           INTEGER,                   -- NULL: it is itself what was invalidated
    kind             TEXT NOT NULL,             -- of the edge, '' at the root
    action           TEXT NOT NULL,
    was              TEXT NOT NULL,             -- its state before
    decision         TEXT NOT NULL,             -- JSON
    PRIMARY KEY (invalidation_id, asset_version_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX invalidation_hit_of_version ON invalidation_hit (asset_version_id);

CREATE TABLE rerun_plan (
    plan_id         INTEGER PRIMARY KEY,
    invalidation_id INTEGER REFERENCES invalidation (invalidation_id),
    hash            TEXT NOT NULL,              -- of the canonical JSON: what is approved is what is run
    spec            TEXT NOT NULL,              -- JSON: cause, steps, risk, approvals, cost
    risk            TEXT NOT NULL,
    requires_approval INTEGER NOT NULL,
    state           TEXT NOT NULL,              -- proposed, approved, running, published, failed, cancelled
    created_us      INTEGER NOT NULL,
    started_us      INTEGER,
    ended_us        INTEGER,
    reason          TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX rerun_plan_unfinished ON rerun_plan (plan_id) WHERE state IN ('approved', 'running');

CREATE TABLE rerun_step (
    plan_id INTEGER NOT NULL REFERENCES rerun_plan (plan_id),
    step    INTEGER NOT NULL,                   -- its place in the plan, from 0
    state   TEXT NOT NULL,                      -- pending, running, staged, published, failed, skipped
    run_id  INTEGER REFERENCES run (run_id),
    reason  TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (plan_id, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX rerun_step_of_run ON rerun_step (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE incident (
    incident_id     INTEGER PRIMARY KEY,
    title           TEXT NOT NULL,
    asset_id        INTEGER REFERENCES asset (asset_id),
    invalidation_id INTEGER REFERENCES invalidation (invalidation_id),
    plan_id         INTEGER REFERENCES rerun_plan (plan_id),
    severity        TEXT NOT NULL,
    state           TEXT NOT NULL,              -- open, closed
    opened_us       INTEGER NOT NULL,
    opened_by       TEXT NOT NULL,
    closed_us       INTEGER,
    closed_by       TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE incident_entry (                   -- the runbook as it was walked
    incident_id INTEGER NOT NULL REFERENCES incident (incident_id),
    n           INTEGER NOT NULL,
    at_us       INTEGER NOT NULL,
    step        TEXT NOT NULL,
    by          TEXT NOT NULL,
    text        TEXT NOT NULL,
    data        TEXT NOT NULL DEFAULT '{}',     -- JSON
    PRIMARY KEY (incident_id, n)
) STRICT, WITHOUT ROWID;
