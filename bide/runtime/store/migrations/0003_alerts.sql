-- Deadline alerts: what is armed, what has fired; and which interval a watermark came from.

CREATE TABLE alarm (
    kind       TEXT NOT NULL,                   -- run, task
    subject_id INTEGER NOT NULL,                -- its id
    due_us     INTEGER NOT NULL,
    span_us    INTEGER NOT NULL,                -- how long was promised; 0: a time on the wall, which nothing moves
    said       TEXT NOT NULL,                   -- the promise in words
    PRIMARY KEY (kind, subject_id)
) STRICT, WITHOUT ROWID;                        -- gone once it has fired, or its subject has ended

CREATE TABLE alert (
    alert_id  INTEGER PRIMARY KEY,              -- the number of its line in the journal
    key       TEXT NOT NULL UNIQUE,             -- a promise is found broken once
    kind      TEXT NOT NULL,                    -- run, task
    run_id    INTEGER REFERENCES run (run_id) ON DELETE CASCADE,
    subject   TEXT NOT NULL,                    -- what is late: orders, orders.load, a mapped orders.load[3]
    promise   TEXT NOT NULL,
    due_us    INTEGER NOT NULL,
    fired_us  INTEGER NOT NULL,
    text      TEXT NOT NULL,                    -- for people
    payload   TEXT NOT NULL,                    -- JSON, for programs
    state     TEXT NOT NULL DEFAULT 'new'       -- new, taken (being delivered), acked
) STRICT;
CREATE INDEX alert_open ON alert (alert_id) WHERE state = 'new';
CREATE INDEX alert_of_run ON alert (run_id);

ALTER TABLE watermark ADD COLUMN end_us INTEGER;    -- the end of the interval whose success moved it last
