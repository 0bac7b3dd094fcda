-- What a failure handler is told beside the reason of the task that failed.

CREATE TABLE failure (                          -- of tasks in graphs with handlers or callbacks
    instance_id INTEGER PRIMARY KEY REFERENCES task_instance (instance_id),
    error_type  TEXT NOT NULL,                  -- class path of what the body raised
    at_us       INTEGER NOT NULL                -- the end it tells of: since_us of the instance
) STRICT;
