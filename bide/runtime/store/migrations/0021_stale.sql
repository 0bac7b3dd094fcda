-- Stale versions are found at a start; and two views know more: the default policy, and the steps of rerun plans.

CREATE INDEX asset_version_stale ON asset_version (asset_version_id) WHERE state = 'stale';

-- The default policy in SQL (`bide.runtime.assets.policy`, which a test compares): what follows from a result when the
-- contract says nothing, at the severity that it says, or the usual one.
CREATE VIEW safe_policy AS
WITH kind (edge) AS (VALUES ('read'), ('exact_version'), ('interval_match'), ('freshness'), ('quality_gate'),
    ('schema_compatibility'), ('reference_data'), ('control_event'), ('publication'), ('invalidation')),
result (result, usual) AS (VALUES ('missing', 'major'), ('stale', 'warning'), ('quality', 'major'),
    ('schema', 'major'), ('invalid', 'critical'), ('degraded', 'warning')),
severity (severity) AS (VALUES ('info'), ('warning'), ('minor'), ('major'), ('critical'))
SELECT edge, result, severity,
       severity = iif(edge = 'freshness' AND result = 'stale', 'major', usual) AS usual,
       CASE
           WHEN edge = 'invalidation' THEN 'warn'
           WHEN result = 'missing' THEN iif(severity IN ('info', 'warning') AND edge <> 'control_event', 'warn', 'block')
           WHEN result = 'schema' THEN CASE WHEN severity IN ('info', 'warning') THEN 'warn'
                WHEN edge = 'schema_compatibility' THEN 'block' ELSE 'require_manual_approval' END
           WHEN result = 'invalid' THEN 'block'
           WHEN edge = 'quality_gate' AND result = 'quality' THEN 'block'
           WHEN edge = 'freshness' AND result = 'stale' THEN 'block'
           ELSE iif(severity IN ('info', 'warning', 'minor'), 'warn', 'block')
       END AS action
FROM kind, result, severity;

-- (e) again: with the policy of the kind where the contract says nothing
DROP VIEW safe_previous;
CREATE VIEW safe_previous AS
WITH rule AS (
    SELECT c.contract_id, c.downstream_id, c.upstream_id, c.kind AS edge, c.source, c.spec, r.value AS result,
           coalesce(json_extract(c.spec, '$.on_failure.' || r.value || '.action'), (
               SELECT p.action FROM safe_policy p WHERE p.edge = c.kind AND p.result = r.value
                 AND (p.severity = json_extract(c.spec, '$.severity.' || r.value)
                      OR json_extract(c.spec, '$.severity.' || r.value) IS NULL AND p.usual))) AS action,
           iif(json_extract(c.spec, '$.on_failure.' || r.value || '.action') IS NULL, 'policy of the kind', c.source) AS said_by
    FROM contract c
    JOIN json_each('["missing", "stale", "quality", "schema", "invalid", "degraded"]') r
    WHERE c.ended_us IS NULL
)
SELECT w.name AS asset, u.name AS upstream, rule.edge AS edge, rule.result AS result, rule.action AS action,
       CASE rule.action
           WHEN 'use_previous_version' THEN 'yes'
           WHEN 'use_latest_version' THEN 'yes'
           WHEN 'warn' THEN 'yes, with limitations'
           WHEN 'partial_publish' THEN 'yes, with limitations'
           WHEN 'require_manual_approval' THEN 'if a person says so'
           ELSE 'no'
       END AS may,
       (SELECT l.version FROM safe_version l WHERE l.asset_id = u.asset_id AND l.visible
         ORDER BY l.end_us DESC, l.version DESC LIMIT 1) AS newest_version,
       (SELECT l.interval FROM safe_version l WHERE l.asset_id = u.asset_id AND l.visible
         ORDER BY l.end_us DESC, l.version DESC LIMIT 1) AS newest_interval,
       (SELECT max(d.decision_id) FROM decision d, json_each(d.issues) i
         WHERE d.asset_id = w.asset_id AND json_extract(i.value, '$.upstream') = u.name
           AND json_extract(i.value, '$.action') IN ('use_previous_version', 'use_latest_version')) AS last_done_by,
       json_extract(rule.spec, '$.rationale') AS rationale, rule.said_by AS said_by
FROM rule
JOIN asset w ON w.asset_id = rule.downstream_id
JOIN asset u ON u.asset_id = rule.upstream_id;

-- (c) again: who accepted the limitations, and until when
DROP VIEW safe_state;
CREATE VIEW safe_state AS
SELECT w.asset, w.interval, w.version, w.state,
       CASE w.state WHEN 'published' THEN 'yes' WHEN 'stale' THEN 'yes, late' WHEN 'degraded' THEN 'yes, with limitations'
                    ELSE 'no' END AS usable,
       w.reason, w.since, json_extract(w.limits, '$.known_limitations') AS limitations,
       json_extract(w.limits, '$.approved_by') AS accepted_by,
       strftime('%Y-%m-%dT%H:%M:%SZ', json_extract(w.limits, '$.expires_us') / 1000000, 'unixepoch') AS accepted_until,
       (SELECT count(*) FROM asset_input i JOIN asset_version u ON u.asset_version_id = i.input_id
         WHERE i.asset_version_id = w.version AND u.state IN ('invalidated', 'quarantined')) AS wrong_inputs,
       w.owner, w.criticality, w.start_us, w.end_us
FROM safe_version w
WHERE w.shadow = 0 AND w.version = (
    SELECT v.asset_version_id FROM asset_version v
    WHERE v.asset_id = w.asset_id AND v.start_us = w.start_us AND v.end_us = w.end_us AND v.shadow = 0
    ORDER BY v.state IN ('published', 'stale', 'degraded') DESC,
             v.state IN ('invalidated', 'quarantined') DESC, v.asset_version_id DESC
    LIMIT 1
);

-- (f) again: the steps of a rerun plan name what they make, and what that replaces
DROP VIEW safe_overwrites;
CREATE VIEW safe_overwrites AS
SELECT 'backfill' AS by_what, b.backfill_id AS id, b.state AS state, w.asset AS asset, w.interval AS interval,
       w.version AS replaces, w.state AS is_now,
       coalesce(json_extract(a.spec, '$.output'), 'immutable_partition') AS output, p.run_id AS run_id
FROM backfill b
JOIN backfill_interval p USING (backfill_id)
JOIN dag d USING (dag_id)
JOIN dag_version dv ON dv.version_id = d.version_id
JOIN json_each(dv.spec, '$.tasks') t
JOIN json_each(t.value, '$.outlets') o
JOIN asset a ON a.name = o.value
JOIN safe_version w ON w.asset_id = a.asset_id AND w.start_us = p.start_us AND w.end_us = p.end_us AND w.visible
WHERE b.ended_us IS NULL AND p.state IN ('pending', 'running')
  AND (coalesce(json_array_length(b.options, '$.tasks'), 0) = 0
       OR EXISTS (SELECT 1 FROM json_each(b.options, '$.tasks') n WHERE n.value = json_extract(t.value, '$.name')))
UNION ALL
SELECT 'plan', p.plan_id, p.state, w.asset, w.interval, w.version, w.state,
       coalesce(json_extract(a.spec, '$.output'), 'immutable_partition'), NULL
FROM rerun_plan p
JOIN json_each(p.spec, '$.steps') s
JOIN json_each(s.value, '$.makes') m
JOIN json_each(m.value, '$.replaces') r
JOIN safe_version w ON w.version = CAST(r.value AS INTEGER) AND w.visible
JOIN asset a USING (asset_id)
WHERE p.state IN ('proposed', 'approved', 'running');
