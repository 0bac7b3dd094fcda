-- Notices: who is told of an alert, over which route, and how far that has come.

ALTER TABLE alert ADD COLUMN severity TEXT NOT NULL DEFAULT 'major';
ALTER TABLE alert ADD COLUMN owners TEXT NOT NULL DEFAULT '[]';     -- JSON, the names of those whose it is
ALTER TABLE alert ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';       -- JSON, those of its DAG

CREATE TABLE notice (
    notice_id  INTEGER PRIMARY KEY,
    route      TEXT NOT NULL,                   -- its name in the configuration
    key        TEXT NOT NULL,                   -- what is folded into one: kind:subject; * in a storm
    kind       TEXT NOT NULL,
    severity   TEXT NOT NULL,                   -- the worst of its alerts
    state      TEXT NOT NULL,                   -- pending, sending, sent, failed, gone, moot
    count      INTEGER NOT NULL,                -- alerts that it stands for
    title      TEXT NOT NULL,
    made_us    INTEGER NOT NULL,
    from_us    INTEGER NOT NULL,                -- the window in which others like it are folded begins here
    next_us    INTEGER NOT NULL,                -- when it is to be sent, or tried again
    attempts   INTEGER NOT NULL DEFAULT 0,
    message    TEXT,                            -- JSON, from the first attempt on: what is sent does not change
    status     INTEGER,                         -- of the last answer, where there was one
    error      TEXT NOT NULL DEFAULT '',        -- why the last attempt failed
    ended_us   INTEGER
) STRICT;
CREATE INDEX notice_due ON notice (route, next_us) WHERE state IN ('pending', 'sending');
CREATE INDEX notice_of_key ON notice (route, key, notice_id);
CREATE INDEX notice_of_route ON notice (route, from_us);

CREATE TABLE notice_alert (
    notice_id INTEGER NOT NULL REFERENCES notice (notice_id) ON DELETE CASCADE,
    alert_id  INTEGER NOT NULL REFERENCES alert (alert_id) ON DELETE CASCADE,
    PRIMARY KEY (notice_id, alert_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_of_alert ON notice_alert (alert_id);

CREATE TABLE notice_routed (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    alert_id INTEGER NOT NULL                   -- alerts up to this one have been given to the routes
) STRICT;

CREATE TABLE notice_off (
    route   TEXT PRIMARY KEY,                   -- its receiver said that it is gone (410): nothing is sent there
    target  TEXT NOT NULL,                      -- the fingerprint of where it led: another target is tried again
    off_us  INTEGER NOT NULL,
    reason  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
