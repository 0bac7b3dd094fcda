-- Runs that were cancelled and whose tear-downs go on: cancelled when the last of those has ended.

CREATE TABLE closing (
    run_id INTEGER PRIMARY KEY REFERENCES run (run_id),
    reason TEXT NOT NULL                        -- of the cancel
) STRICT;
