-- Who may, and who did: the tokens of the doors, and one row for each command of any of them.

CREATE TABLE token (
    public     TEXT PRIMARY KEY,                -- the part of it that may be shown: which one it is
    name       TEXT NOT NULL,                   -- whose it is, or what for; one that lives for each name
    hash       TEXT NOT NULL,                   -- SHA-256 of the whole token, hex; the token itself is nowhere
    scope      TEXT NOT NULL,                   -- read, run, admin
    created_us INTEGER NOT NULL,
    expires_us INTEGER,                         -- NULL: never
    revoked_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX token_of_name ON token (name) WHERE revoked_us IS NULL;

CREATE TABLE audit (                            -- append-only, in the transaction of what the command changed
    audit_id INTEGER PRIMARY KEY,
    at_us    INTEGER NOT NULL,
    who      TEXT NOT NULL,                     -- a user of the system, the name of a token, of a hook, python
    via      TEXT NOT NULL,                     -- terminal, socket, http, hook, python, host
    address  TEXT NOT NULL,                     -- of the peer, where there is one
    verb     TEXT NOT NULL,
    target   TEXT NOT NULL,                     -- run 12, dag orders, ...
    args     TEXT NOT NULL,                     -- JSON, secrets masked, cut to a limit
    outcome  TEXT NOT NULL,                     -- ok, refused
    message  TEXT NOT NULL                      -- why it was refused
) STRICT;
CREATE INDEX audit_at ON audit (at_us);
