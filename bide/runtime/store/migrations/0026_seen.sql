-- What runs did with their time, for people with an SQL shell: `SELECT * FROM stat_task;`. Seconds, newest data as it is.

ALTER TABLE attempt ADD COLUMN queued_us INTEGER NOT NULL DEFAULT 0;    -- wanted a slot for so long before it began
INSERT INTO meta VALUES ('database', lower(hex(randomblob(16))));       -- who this database is, for ids given to the outside

-- Durations by attempt (S0-32), queue wait against execution (S0-33), slot-seconds (S3-53). A wait holds no slot.
CREATE VIEW stat_attempt AS
SELECT d.name AS dag, r.run_id, i.task, i.map_index, a.number AS attempt, a.state,
       strftime('%Y-%m-%dT%H:%M:%SZ', a.started_us / 1000000, 'unixepoch') AS started,
       (a.ended_us - a.started_us) / 1e6 AS seconds,
       a.queued_us / 1e6 AS queued_s,
       a.active_us / 1e6 AS slot_s,
       (a.ended_us - a.started_us - a.active_us) / 1e6 AS waited_s,
       a.error, a.attempt_id, i.instance_id, r.dag_id
FROM attempt a
JOIN task_instance i USING (instance_id)
JOIN run r USING (run_id)
JOIN dag d USING (dag_id);

-- The same by task: where slots and time go
CREATE VIEW stat_task AS
SELECT d.name AS dag, i.task, count(DISTINCT i.instance_id) AS instances, count(a.attempt_id) AS attempts,
       sum(a.state IN ('failed', 'timed_out')) AS failed, sum(a.state = 'lost') AS lost,
       avg(a.queued_us) / 1e6 AS queued_avg_s, max(a.queued_us) / 1e6 AS queued_max_s,
       avg(a.active_us) / 1e6 AS slot_avg_s, max(a.active_us) / 1e6 AS slot_max_s,
       sum(a.active_us) / 1e6 AS slot_s, sum(a.queued_us) / 1e6 AS queued_s
FROM attempt a
JOIN task_instance i USING (instance_id)
JOIN run r USING (run_id)
JOIN dag d USING (dag_id)
GROUP BY d.name, i.task;

-- Failed dependencies (S0-34): instances that never began because of what stood above them
CREATE VIEW stat_upstream_failed AS
SELECT d.name AS dag, i.task, count(*) AS instances, count(DISTINCT i.run_id) AS runs,
       max(i.run_id) AS last_run, max(i.reason) AS reason
FROM task_instance i
JOIN run r USING (run_id)
JOIN dag d USING (dag_id)
WHERE i.state = 'upstream_failed'
GROUP BY d.name, i.task;

-- Progress of backfills by interval (S0-36)
CREATE VIEW stat_backfill AS
SELECT b.backfill_id, d.name AS dag, b.state, count(*) AS intervals,
       sum(p.state = 'success') AS success, sum(p.state = 'failed') AS failed, sum(p.state = 'running') AS running,
       sum(p.state = 'pending') AS pending, sum(p.state = 'skipped') AS skipped, sum(p.state = 'cancelled') AS cancelled,
       round(100.0 * sum(p.state NOT IN ('pending', 'running')) / count(*), 1) AS percent
FROM backfill b
JOIN dag d USING (dag_id)
JOIN backfill_interval p USING (backfill_id)
GROUP BY b.backfill_id;

CREATE VIEW stat_backfill_interval AS
SELECT p.backfill_id, p.place,
       strftime('%Y-%m-%dT%H:%M:%SZ', p.start_us / 1000000, 'unixepoch') || '/'
           || strftime('%Y-%m-%dT%H:%M:%SZ', p.end_us / 1000000, 'unixepoch') AS interval,
       p.state, p.run_id, (r.ended_us - r.started_us) / 1e6 AS seconds, p.reason
FROM backfill_interval p
LEFT JOIN run r USING (run_id);

-- What each instance did and for how long, out of the journal: one row a state that it went through
CREATE VIEW stat_phase AS
SELECT e.run_id, e.subject_id AS instance_id, e.now AS state, e.seq, e.at_us AS from_us,
       lead(e.at_us) OVER (PARTITION BY e.run_id, e.subject_id ORDER BY e.seq) AS until_us, e.reason
FROM event e
WHERE e.subject = 'instance';

-- The links of the critical path (S0-31): which end let an instance go. `bide stats RUN` walks them.
CREATE VIEW stat_released AS
SELECT i.run_id, i.instance_id, i.task, i.map_index, e.seq AS released_seq, e.at_us AS released_us,
       (SELECT u.subject_id FROM event u JOIN task_instance up ON up.instance_id = u.subject_id
         WHERE u.run_id = i.run_id AND u.seq < e.seq AND u.subject = 'instance'
           AND u.now IN ('success', 'failed', 'skipped', 'upstream_failed', 'cancelled')
           AND up.map_index = -1
           AND up.task IN (SELECT x.value FROM dag_version v, json_each(v.spec, '$.tasks') t,
                                  json_each(t.value, '$.upstream') x
                            WHERE v.version_id = r.version_id AND json_extract(t.value, '$.name') = i.task)
         ORDER BY u.seq DESC LIMIT 1) AS released_by
FROM event e
JOIN task_instance i ON i.instance_id = e.subject_id
JOIN run r ON r.run_id = i.run_id
WHERE e.subject = 'instance' AND e.was = 'pending';
