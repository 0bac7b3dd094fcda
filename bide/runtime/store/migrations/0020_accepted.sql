-- Versions whose known limitations are accepted: their expiries are set again at each start.

CREATE INDEX asset_version_degraded ON asset_version (asset_version_id) WHERE state = 'degraded';
