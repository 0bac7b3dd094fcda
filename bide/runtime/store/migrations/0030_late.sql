-- How often each asset was late, along an index: `bide stats --assets`, the view `safe_late`.

CREATE INDEX alert_of_asset ON alert (subject) WHERE kind = 'asset';    -- alerts of other kinds write nothing here
