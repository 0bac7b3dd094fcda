-- The ledger of external effects: what is under way, found again at a start.

CREATE INDEX delivery_pending ON delivery (delivery_id) WHERE state = 'pending';
CREATE INDEX delivery_corrects ON delivery (corrects) WHERE corrects IS NOT NULL;
