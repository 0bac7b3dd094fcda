-- Which file a DAG was declared in: of one that is broken at a start, this alone tells whose it is.

ALTER TABLE dag ADD COLUMN file TEXT NOT NULL DEFAULT '';  -- '' where that is not known
