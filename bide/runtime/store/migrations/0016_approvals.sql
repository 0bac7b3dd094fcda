-- What exactly an approval is of: the hash of a plan, the key of a delivery. An approval of one is none of another.

ALTER TABLE approval ADD COLUMN about TEXT NOT NULL DEFAULT '';
