-- Publishing: a version that consumers are not told of, and what is open among the versions.
-- `held`: 2 while the attempt that makes it goes, 1 when it is made and not let out, 0 when it is settled.

ALTER TABLE asset_version ADD COLUMN quiet INTEGER NOT NULL DEFAULT 0;      -- 1: published, and makes no run of a consumer
CREATE INDEX asset_version_latest ON asset_version (asset_id, end_us DESC, asset_version_id DESC)
    WHERE state IN ('published', 'stale', 'degraded');
CREATE INDEX asset_version_schema ON asset_version (schema_id) WHERE schema_id IS NOT NULL;
CREATE INDEX asset_version_open ON asset_version (asset_version_id) WHERE held > 0;
CREATE INDEX asset_version_label ON asset_version (asset_id, label) WHERE label <> '';
