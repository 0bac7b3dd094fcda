-- A key of idempotency belongs to one request: the same key with another one is told.

ALTER TABLE idempotency ADD COLUMN digest TEXT NOT NULL DEFAULT '';  -- SHA-256 of the request, hex; '': not known
