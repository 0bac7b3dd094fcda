-- The newest decision on a question is found, however many there are (`safe_decision`, `safe_notify`).

CREATE INDEX decision_of_question ON decision (asset_id, phase, consumer, start_us, end_us, decision_id);
