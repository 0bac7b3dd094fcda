-- A key of idempotency belongs to whoever asked under it: nobody is answered with what another was told.

CREATE TABLE answered (                         -- answers to commands that bore a key
    answered_id INTEGER PRIMARY KEY,
    caller      TEXT NOT NULL,                  -- 'user ann', 'http ci'; '': not known, it is of before
    key         TEXT NOT NULL,
    verb        TEXT NOT NULL,                  -- the command; `prune#2` the second of one request; `answer`: all that was said
    result      TEXT NOT NULL,                  -- JSON
    created_us  INTEGER NOT NULL,
    digest      TEXT NOT NULL,                  -- SHA-256 of the request, hex; '': not known
    UNIQUE (caller, key, verb)
) STRICT;
INSERT INTO answered (caller, key, verb, result, created_us, digest)
SELECT '', substr(key, instr(key, ':') + 1), substr(key, 1, instr(key, ':') - 1), result, created_us, digest
FROM idempotency ORDER BY created_us;
DROP TABLE idempotency;
