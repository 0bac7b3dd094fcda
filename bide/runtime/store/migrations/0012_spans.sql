-- The longest interval of an asset is found at once: it bounds where versions over an instant may begin.

CREATE INDEX asset_version_length ON asset_version (asset_id, end_us - start_us);
