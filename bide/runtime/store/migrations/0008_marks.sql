-- What the events of a schedule consisted of, so that each file or object is told of once.

CREATE TABLE standing_mark (
    standing_id INTEGER NOT NULL REFERENCES standing (standing_id),
    name        TEXT NOT NULL,                  -- a path, a key
    mark        TEXT NOT NULL,                  -- changes when it does
    PRIMARY KEY (standing_id, name)
) STRICT, WITHOUT ROWID;
