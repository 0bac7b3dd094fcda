-- Promises of assets: for each producer and asset the interval that is judged next.

CREATE TABLE expected (
    dag_id   INTEGER NOT NULL REFERENCES dag (dag_id),      -- whose schedule says which intervals
    asset_id INTEGER NOT NULL REFERENCES asset (asset_id),
    start_us INTEGER NOT NULL,                  -- a version for [start, end) is to be there
    end_us   INTEGER NOT NULL,
    fires_us INTEGER NOT NULL,                  -- the firing that the interval is of
    due_us   INTEGER NOT NULL,                  -- by then
    said     TEXT NOT NULL,                     -- the promise in words
    PRIMARY KEY (dag_id, asset_id)
) STRICT, WITHOUT ROWID;
