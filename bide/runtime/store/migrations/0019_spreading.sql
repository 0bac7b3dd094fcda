-- An invalidation spreads in slices and goes on after a crash: what it names, how far it is, what is still to be asked.

ALTER TABLE invalidation ADD COLUMN asset_version_id INTEGER REFERENCES asset_version (asset_version_id);   -- this one alone
ALTER TABLE invalidation ADD COLUMN code TEXT NOT NULL DEFAULT '';      -- made by versions of DAGs whose hash begins so
ALTER TABLE invalidation ADD COLUMN marked_id INTEGER;          -- what is wrong itself is marked up to it; NULL: all is
ALTER TABLE invalidation_hit ADD COLUMN next_id INTEGER;        -- its consumers above it are still to be judged; NULL: none
CREATE INDEX invalidation_spreading ON invalidation (invalidation_id) WHERE state = 'spreading';
CREATE INDEX invalidation_hit_open ON invalidation_hit (invalidation_id, asset_version_id) WHERE next_id IS NOT NULL;
