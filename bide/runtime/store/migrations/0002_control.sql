-- Dynamic control: what a branch chose, and what was skipped with all that stands below it.

CREATE TABLE choice (
    instance_id INTEGER PRIMARY KEY REFERENCES task_instance (instance_id),
    chosen      TEXT NOT NULL                   -- JSON: names right downstream; null: nothing below runs
) STRICT;
