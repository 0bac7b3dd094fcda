-- What an operator asks when something is wrong, as views: one a question, `SELECT * FROM safe_wrong`.
-- Instants are ISO 8601 in UTC, intervals `start/end`. A view holds nothing: it is as true as its tables.

CREATE VIEW safe_version AS                     -- every version, in words; the other views are made of it
SELECT v.asset_version_id AS version,
       a.name AS asset,
       strftime('%Y-%m-%dT%H:%M:%SZ', v.start_us / 1000000, 'unixepoch') || '/'
           || strftime('%Y-%m-%dT%H:%M:%SZ', v.end_us / 1000000, 'unixepoch') AS interval,
       v.state AS state,
       v.state IN ('published', 'stale', 'degraded') AS visible,
       v.reason AS reason,
       strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(v.since_us, v.created_us) / 1000000, 'unixepoch') AS since,
       strftime('%Y-%m-%dT%H:%M:%SZ', v.created_us / 1000000, 'unixepoch') AS created,
       json_extract(v.meta, '$.rows') AS rows,
       v.label AS label, v.limits AS limits, v.held AS held, v.shadow AS shadow,
       d.name AS dag, i.task AS task, v.run_id AS run_id, v.instance_id AS instance_id,
       dv.hash AS code, v.plan_id AS plan_id,
       a.node AS node, a.owner AS owner, a.criticality AS criticality,
       v.asset_id AS asset_id, v.start_us AS start_us, v.end_us AS end_us, v.created_us AS created_us
FROM asset_version v
JOIN asset a USING (asset_id)
LEFT JOIN dag d ON d.dag_id = v.dag_id
LEFT JOIN dag_version dv ON dv.version_id = v.dag_version_id
LEFT JOIN task_instance i ON i.instance_id = v.instance_id;

-- (a) Can only this task be run again? `WHERE run_id = 12 AND task = 'load'`
CREATE VIEW safe_rerun AS
WITH instance AS (
    SELECT i.instance_id, i.run_id, d.name AS dag, i.task, i.map_index, i.state,
           (SELECT group_concat(DISTINCT o.asset) FROM safe_version m
             JOIN asset_input n ON n.input_id = m.version
             JOIN safe_version o ON o.version = n.asset_version_id AND o.visible
             WHERE m.instance_id = i.instance_id AND o.node <> 'external_effect') AS read_by,
           (SELECT group_concat(DISTINCT o.name) FROM safe_version m
             JOIN asset_input n ON n.input_id = m.version
             JOIN delivery l ON l.asset_version_id = n.asset_version_id AND l.state NOT IN ('pending', 'failed')
             JOIN asset_version w ON w.asset_version_id = n.asset_version_id JOIN asset o ON o.asset_id = w.asset_id
             WHERE m.instance_id = i.instance_id) AS exported_by,
           (SELECT group_concat(DISTINCT b.task) FROM json_each(dv.spec, '$.tasks') t
             JOIN json_each(t.value, '$.upstream') u ON u.value = i.task
             JOIN task_instance b ON b.run_id = i.run_id AND b.task = json_extract(t.value, '$.name')
             WHERE b.attempt > 0) AS begun_below
    FROM task_instance i
    JOIN run r USING (run_id)
    JOIN dag d ON d.dag_id = r.dag_id
    JOIN dag_version dv ON dv.version_id = r.version_id
)
SELECT run_id, dag, task, map_index, state,
       iif(read_by IS NULL AND exported_by IS NULL AND begun_below IS NULL, 'yes', 'no') AS alone,
       CASE
           WHEN exported_by IS NOT NULL THEN 'what it made has left the platform: ' || exported_by
           WHEN read_by IS NOT NULL THEN 'visible versions were made of what it made: ' || read_by
           WHEN begun_below IS NOT NULL THEN 'tasks below it have begun: ' || begun_below
           ELSE 'nothing was made of what it made'
       END AS because,
       instance_id
FROM instance;

-- (b) Which downstream versions are wrong? `WHERE invalidation_id = 3`; NULL: nothing has been said of it yet
CREATE VIEW safe_wrong AS
SELECT h.invalidation_id AS invalidation_id, w.asset AS asset, w.interval AS interval, w.version AS version,
       w.state AS state, h.was AS was, h.action AS action, h.kind AS edge, h.via_id AS via, n.severity AS severity,
       n.cause AS cause, w.owner AS owner
FROM invalidation_hit h
JOIN invalidation n USING (invalidation_id)
JOIN safe_version w ON w.version = h.asset_version_id
UNION ALL
SELECT NULL, w.asset, w.interval, w.version, w.state, w.state, 'suspect', i.kind, i.input_id, NULL, NULL, w.owner
FROM asset_version up
JOIN asset_input i ON i.input_id = up.asset_version_id
JOIN safe_version w ON w.version = i.asset_version_id AND w.visible
WHERE up.state IN ('invalidated', 'quarantined')
  AND NOT EXISTS (SELECT 1 FROM invalidation_hit h WHERE h.asset_version_id = w.version);

-- (c) Is it stale, or invalid? One row an asset and interval: the newest version that counts
CREATE VIEW safe_state AS
SELECT w.asset, w.interval, w.version, w.state,
       CASE w.state WHEN 'published' THEN 'yes' WHEN 'stale' THEN 'yes, late' WHEN 'degraded' THEN 'yes, with limitations'
                    ELSE 'no' END AS usable,
       w.reason, w.since, json_extract(w.limits, '$.known_limitations') AS limitations,
       json_extract(w.limits, '$.expires_at') AS accepted_until,
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

-- (d) Is the report to be blocked? The newest decision on each asset, interval, question and consumer
CREATE VIEW safe_decision AS
SELECT a.name AS asset,
       strftime('%Y-%m-%dT%H:%M:%SZ', c.start_us / 1000000, 'unixepoch') || '/'
           || strftime('%Y-%m-%dT%H:%M:%SZ', c.end_us / 1000000, 'unixepoch') AS interval,
       c.phase, c.consumer, c.level,
       iif(EXISTS (SELECT 1 FROM json_each(c.issues) i WHERE CASE c.phase
               WHEN 'executing' THEN json_extract(i.value, '$.level') IN ('execution', 'manual_approval')
               WHEN 'effect' THEN json_extract(i.value, '$.level') NOT IN ('none', 'consumer_notification')
               ELSE json_extract(i.value, '$.level') IN ('execution', 'publication', 'manual_approval') END),
           'yes', 'no') AS blocked,
       c.reason, c.retryable, c.decision_id,
       strftime('%Y-%m-%dT%H:%M:%SZ', c.at_us / 1000000, 'unixepoch') AS at,
       c.asset_version_id AS version, v.state AS state,
       (SELECT p.state FROM approval p WHERE p.decision_id = c.decision_id ORDER BY p.approval_id DESC LIMIT 1) AS approval,
       c.run_id, c.instance_id, a.asset_id, c.start_us, c.end_us
FROM decision c
JOIN asset a USING (asset_id)
LEFT JOIN asset_version v ON v.asset_version_id = c.asset_version_id
WHERE c.decision_id = (
    SELECT max(o.decision_id) FROM decision o
    WHERE o.asset_id = c.asset_id AND o.phase = c.phase AND o.consumer = c.consumer
      AND o.start_us = c.start_us AND o.end_us = c.end_us
);

-- (e) May it be published with yesterday's reference? Each contract in force, and what there is to fall back on
CREATE VIEW safe_previous AS
SELECT w.name AS asset, u.name AS upstream, c.kind AS edge, r.value AS result,
       coalesce(json_extract(c.spec, '$.on_failure.' || r.value || '.action'), 'policy of the kind') AS action,
       CASE json_extract(c.spec, '$.on_failure.' || r.value || '.action')
           WHEN 'use_previous_version' THEN 'yes'
           WHEN 'use_latest_version' THEN 'yes'
           WHEN 'warn' THEN 'yes, with limitations'
           WHEN 'partial_publish' THEN 'yes, with limitations'
           WHEN 'require_manual_approval' THEN 'if a person says so'
           ELSE iif(json_extract(c.spec, '$.on_failure.' || r.value || '.action') IS NULL, 'by policy', 'no')
       END AS may,
       (SELECT l.version FROM safe_version l WHERE l.asset_id = u.asset_id AND l.visible
         ORDER BY l.end_us DESC, l.version DESC LIMIT 1) AS newest_version,
       (SELECT l.interval FROM safe_version l WHERE l.asset_id = u.asset_id AND l.visible
         ORDER BY l.end_us DESC, l.version DESC LIMIT 1) AS newest_interval,
       (SELECT max(d.decision_id) FROM decision d, json_each(d.issues) i
         WHERE d.asset_id = w.asset_id AND json_extract(i.value, '$.upstream') = u.name
           AND json_extract(i.value, '$.action') IN ('use_previous_version', 'use_latest_version')) AS last_done_by,
       json_extract(c.spec, '$.rationale') AS rationale, c.source AS source
FROM contract c
JOIN asset w ON w.asset_id = c.downstream_id
JOIN asset u ON u.asset_id = c.upstream_id
JOIN json_each('["missing", "stale", "quality", "invalid", "degraded"]') r
WHERE c.ended_us IS NULL;

-- (f) Will it overwrite what consumers see? Backfills and rerun plans that are not over
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
JOIN json_each(s.value, '$.replaces') r
JOIN safe_version w ON w.version = CAST(r.value AS INTEGER) AND w.visible
JOIN asset a USING (asset_id)
WHERE p.state IN ('proposed', 'approved', 'running');

-- (g) Does the change of a schema break who reads it? Each change, each contract that asks for compatibility
CREATE VIEW safe_field AS                       -- the columns of a schema: of {"id": "int"} and of {"fields": [...]}
SELECT s.schema_id, s.asset_id, coalesce(json_extract(f.value, '$.name'), f.key) AS name,
       coalesce(json_extract(f.value, '$.type'), f.value) AS type
FROM asset_schema s
JOIN json_each(s.schema, '$.fields') f
WHERE json_type(s.schema, '$.fields') = 'array'
UNION ALL
SELECT s.schema_id, s.asset_id, f.key,
       CASE f.type WHEN 'object' THEN coalesce(json_extract(f.value, '$.type'), f.value) ELSE f.value END
FROM asset_schema s
JOIN json_each(s.schema) f
WHERE json_type(s.schema) = 'object' AND json_type(s.schema, '$.fields') IS NOT 'array';

CREATE VIEW safe_schema AS
SELECT u.name AS asset, s.schema_id AS schema_id, before.schema_id AS before_id,
       strftime('%Y-%m-%dT%H:%M:%SZ', s.since_us / 1000000, 'unixepoch') AS since,
       (SELECT group_concat(f.name, ', ') FROM safe_field f WHERE f.schema_id = before.schema_id AND NOT EXISTS
           (SELECT 1 FROM safe_field n WHERE n.schema_id = s.schema_id AND n.name = f.name)) AS removed,
       (SELECT group_concat(f.name, ', ') FROM safe_field f WHERE f.schema_id = s.schema_id AND NOT EXISTS
           (SELECT 1 FROM safe_field n WHERE n.schema_id = before.schema_id AND n.name = f.name)) AS added,
       (SELECT group_concat(f.name || ' ' || f.type || ' to ' || n.type, ', ') FROM safe_field f
           JOIN safe_field n ON n.schema_id = s.schema_id AND n.name = f.name AND n.type IS NOT f.type
           WHERE f.schema_id = before.schema_id) AS changed,
       w.name AS consumer, json_extract(q.value, '$.mode') AS asks,
       coalesce(json_extract(c.spec, '$.on_failure.schema.action'), 'policy of the kind') AS action,
       (SELECT max(d.decision_id) FROM decision d, json_each(d.issues) i
         WHERE d.asset_id = c.downstream_id AND d.at_us >= s.since_us
           AND json_extract(i.value, '$.upstream') = u.name
           AND json_extract(i.value, '$.result') = 'schema') AS said_no_by
FROM asset_schema s
JOIN asset u USING (asset_id)
JOIN asset_schema before ON before.schema_id = (
    SELECT max(o.schema_id) FROM asset_schema o WHERE o.asset_id = s.asset_id AND o.schema_id < s.schema_id)
LEFT JOIN contract c ON c.upstream_id = s.asset_id AND c.ended_us IS NULL
LEFT JOIN asset w ON w.asset_id = c.downstream_id
LEFT JOIN json_each(c.spec, '$.require') q ON json_extract(q.value, '$.is') = 'schema';

-- (h) Whom to tell? One row a person or team and a thing that is wrong, the worst first
CREATE VIEW safe_notify AS
WITH told AS (
    SELECT w.owner AS whom, 'owner of ' || w.asset AS as_what, w.asset, w.interval, w.version, n.severity AS severity,
           'invalidated: ' || n.reason AS what, n.discovered_us AS at_us, h.invalidation_id AS invalidation_id
    FROM invalidation_hit h JOIN invalidation n USING (invalidation_id) JOIN safe_version w ON w.version = h.asset_version_id
    UNION ALL
    SELECT json_extract(c.spec, '$.owner'), 'owner of the contract of ' || d.name, d.name, w.interval, w.version, n.severity,
           'reads ' || w.asset || ', invalidated: ' || n.reason, n.discovered_us, h.invalidation_id
    FROM invalidation_hit h JOIN invalidation n USING (invalidation_id) JOIN safe_version w ON w.version = h.asset_version_id
    JOIN contract c ON c.upstream_id = w.asset_id AND c.ended_us IS NULL JOIN asset d ON d.asset_id = c.downstream_id
    WHERE coalesce(json_extract(c.spec, '$.owner'), '') <> ''
    UNION ALL
    SELECT coalesce(nullif(g.owner, ''), w.owner), 'owner of the gate ' || k.name, w.asset, w.interval, w.version, k.severity,
           'the gate ' || k.name || ' has failed' || iif(k.message = '', '', ': ' || k.message), k.at_us, NULL
    FROM asset_check k JOIN safe_version w ON w.version = k.asset_version_id
    LEFT JOIN gate g ON g.asset_id = w.asset_id AND g.name = k.name AND g.ended_us IS NULL
    WHERE k.passed = 0
    UNION ALL
    SELECT a.owner, 'owner of ' || a.name, a.name, c.interval, c.version, 'major', 'blocked: ' || c.reason, d.at_us, NULL
    FROM safe_decision c JOIN decision d USING (decision_id) JOIN asset a ON a.asset_id = c.asset_id
    WHERE c.blocked = 'yes' AND coalesce(c.approval, '') <> 'approved'
    UNION ALL
    SELECT a.owner, 'owner of ' || a.name, a.name,
           json_extract(l.payload, '$.interval_start') || '/' || json_extract(l.payload, '$.interval_end'),
           NULL, 'minor', 'late: promised ' || l.promise, l.fired_us, NULL
    FROM alert l JOIN asset a ON a.name = l.subject WHERE l.kind = 'asset' AND l.state <> 'acked'
)
SELECT coalesce(nullif(whom, ''), 'nobody is named: say owner= of ' || asset) AS whom, as_what, asset, interval, version,
       severity, what, strftime('%Y-%m-%dT%H:%M:%SZ', at_us / 1000000, 'unixepoch') AS at, invalidation_id
FROM told
ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'major' THEN 1 WHEN 'minor' THEN 2 WHEN 'warning' THEN 3 ELSE 4 END,
         at_us;

-- Late data (S0-35): what missed its promise, and what was made again for an interval that was there already
CREATE VIEW safe_late AS
SELECT a.name AS asset, a.owner,
       (SELECT count(*) FROM alert l WHERE l.kind = 'asset' AND l.subject = a.name) AS late_intervals,
       (SELECT count(*) FROM asset_version v WHERE v.asset_id = a.asset_id AND v.state = 'stale') AS stale_versions,
       (SELECT count(*) - count(DISTINCT v.start_us || '/' || v.end_us) FROM asset_version v
         WHERE v.asset_id = a.asset_id AND v.shadow = 0
           AND v.state IN ('published', 'stale', 'degraded', 'superseded', 'invalidated')) AS made_again
FROM asset a;

-- Freshness (S0-37): how far each asset's data goes, and when the next of it is promised
CREATE VIEW safe_freshness AS
SELECT a.name AS asset, a.owner, w.version, w.interval, w.state,
       CAST(strftime('%s', 'now') AS INTEGER) - w.end_us / 1000000 AS age_s,
       (SELECT strftime('%Y-%m-%dT%H:%M:%SZ', min(e.due_us) / 1000000, 'unixepoch') FROM expected e
         WHERE e.asset_id = a.asset_id) AS next_due
FROM asset a
LEFT JOIN safe_version w ON w.version = (
    SELECT v.asset_version_id FROM asset_version v
    WHERE v.asset_id = a.asset_id AND v.state IN ('published', 'stale', 'degraded')
    ORDER BY v.end_us DESC, v.asset_version_id DESC LIMIT 1);

-- Rows and checks (S0-38): what was said and found of each version, and the rows of the version before it
CREATE VIEW safe_quality AS
SELECT w.asset, w.interval, w.version, w.state, w.rows,
       (SELECT json_extract(b.meta, '$.rows') FROM asset_version b
         WHERE b.asset_id = w.asset_id AND b.asset_version_id < w.version AND b.shadow = 0
           AND json_extract(b.meta, '$.rows') IS NOT NULL ORDER BY b.asset_version_id DESC LIMIT 1) AS rows_before,
       (SELECT count(*) FROM asset_check k WHERE k.asset_version_id = w.version AND k.passed = 1) AS passed,
       (SELECT count(*) FROM asset_check k WHERE k.asset_version_id = w.version AND k.passed = 0) AS failed,
       (SELECT group_concat(k.name || ' (' || k.severity || ')', ', ') FROM asset_check k
         WHERE k.asset_version_id = w.version AND k.passed = 0) AS failed_checks
FROM safe_version w;
