-- Mapped tasks: how far each has become its instances, and the lists that they take their parts of.

CREATE TABLE expansion (
    instance_id INTEGER PRIMARY KEY REFERENCES task_instance (instance_id),  -- the summary, map_index -1
    items       INTEGER NOT NULL,       -- its instances, map_index 0 to items - 1; 0: none, or no more
    made        INTEGER NOT NULL,       -- rows gone through so far, from map_index 0 on
    keeps       INTEGER NOT NULL        -- 1: a rerun that leaves alone what succeeded or was skipped
) STRICT;

CREATE TABLE manifest (
    instance_id INTEGER PRIMARY KEY REFERENCES expansion (instance_id),
    value       TEXT NOT NULL           -- JSON: argument -> the list that another task returned, as it was
) STRICT;
