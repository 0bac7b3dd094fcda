-- The text of the files that DAGs were declared in, so that a run can say which code it ran with.
-- A version is a graph; the same graph may be loaded with another text, so texts stand beside versions.

CREATE TABLE source (                           -- texts of files, each once, whatever was declared in them
    hash  TEXT PRIMARY KEY,                     -- SHA-256 of the text in UTF-8, hex
    bytes INTEGER NOT NULL,
    text  TEXT                                  -- NULL: too long to be kept
) STRICT;

CREATE TABLE dag_code (                         -- what a DAG was loaded with: a row where its graph or its text was another
    code_id          INTEGER PRIMARY KEY,
    dag_id           INTEGER NOT NULL REFERENCES dag (dag_id),
    version_id       INTEGER NOT NULL REFERENCES dag_version (version_id),
    file             TEXT NOT NULL,             -- that was read; '': none
    source           TEXT REFERENCES source (hash),     -- NULL: no text came with it
    first_run_id     INTEGER NOT NULL,          -- runs from this number on were made since
    first_attempt_id INTEGER NOT NULL,          -- attempts from this number on were begun with it
    loaded_us        INTEGER NOT NULL
) STRICT;
CREATE INDEX dag_code_of_dag ON dag_code (dag_id);      -- with the rowid behind it: newest first
CREATE INDEX dag_code_of_version ON dag_code (version_id);
CREATE INDEX dag_code_of_source ON dag_code (source) WHERE source IS NOT NULL;
