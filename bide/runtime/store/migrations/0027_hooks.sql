-- Hooks: what is declared, what was delivered, and what makes a delivery the same when it comes again.

CREATE TABLE hook (
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL                          -- JSON; secrets are named, never held
) STRICT, WITHOUT ROWID;                        -- as the runtime that ran last had them loaded

CREATE TABLE hook_delivery (
    delivery_id INTEGER PRIMARY KEY,            -- the number of its first line in the journal
    hook        TEXT NOT NULL,
    said        TEXT NOT NULL,                  -- the id its sender gave it
    dag         TEXT NOT NULL,                  -- "" where none was chosen
    outcome     TEXT NOT NULL,                  -- accepted, ignored, refused
    run_id      INTEGER,                        -- the run it made; known also when that is pruned
    reason      TEXT NOT NULL,
    first_us    INTEGER NOT NULL,
    last_us     INTEGER NOT NULL,
    times       INTEGER NOT NULL,               -- how often it has come
    sent_us     INTEGER,                        -- the time that was signed
    expires_us  INTEGER NOT NULL                -- it may be forgotten, its keys with it
) STRICT;
CREATE INDEX hook_delivery_of ON hook_delivery (hook, delivery_id);
CREATE INDEX hook_delivery_expires ON hook_delivery (expires_us);

CREATE TABLE hook_key (
    hook        TEXT NOT NULL,
    key         TEXT NOT NULL,                  -- a delivery of the same key is the same delivery
    delivery_id INTEGER NOT NULL REFERENCES hook_delivery (delivery_id) ON DELETE CASCADE,
    PRIMARY KEY (hook, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX hook_key_of_delivery ON hook_key (delivery_id);

CREATE TABLE hook_refusal (
    hook    TEXT NOT NULL,
    kind    TEXT NOT NULL,                      -- unsigned, malformed, signature, old, future, ...: of no known sender
    count   INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    PRIMARY KEY (hook, kind)
) STRICT, WITHOUT ROWID;
