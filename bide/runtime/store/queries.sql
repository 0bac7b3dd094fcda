-- What the CLI, the API and the UI ask. Each statement: its name, one line of why, the SQL.

-- :name dags
-- `bide dags`: every DAG that is not removed, with the state of its newest run.
SELECT d.dag_id, d.name, d.schedule, d.paused, d.next_fires_us,
       (SELECT r.state FROM run r WHERE r.dag_id = d.dag_id ORDER BY r.run_id DESC LIMIT 1) AS last_state
FROM dag d
WHERE d.removed = 0
ORDER BY d.name;

-- :name dag_spec
-- `bide trigger`, `bide run`: the newest graph of a DAG and its anchor, by which a date is read.
SELECT v.spec, d.anchor_us
FROM dag d JOIN dag_version v ON v.version_id = d.version_id
WHERE d.name = :name;

-- :name dag_options
-- A DAG that is shown: its options, among them what it promises.
SELECT options FROM dag WHERE name = :name;

-- :name runs
-- `bide runs`: newest first, by DAG (* and ?) and what else is asked; `before` is the last id of the page above.
SELECT r.run_id, d.name, r.state, r.kind, r.run_key, r.logical_us, r.start_us, r.end_us, r.scheduled_us,
       r.created_us, r.started_us, r.ended_us, r.reason
FROM run r JOIN dag d ON d.dag_id = r.dag_id
WHERE (:dag IS NULL OR d.name GLOB :dag)
  AND (:state IS NULL OR r.state = :state)
  AND (:kind IS NULL OR r.kind = :kind)
  AND (:since_us IS NULL OR r.logical_us >= :since_us)
  AND (:until_us IS NULL OR r.logical_us < :until_us)
  AND r.run_id < :before
ORDER BY r.run_id DESC
LIMIT :limit;

-- :name runs_of_dag
-- The same for one DAG, along its own index.
SELECT r.run_id, d.name, r.state, r.kind, r.run_key, r.logical_us, r.start_us, r.end_us, r.scheduled_us,
       r.created_us, r.started_us, r.ended_us, r.reason
FROM run r INDEXED BY run_of_dag JOIN dag d ON d.dag_id = r.dag_id
WHERE r.dag_id = (SELECT dag_id FROM dag WHERE name = :dag)
  AND (:state IS NULL OR r.state = :state)
  AND (:kind IS NULL OR r.kind = :kind)
  AND (:since_us IS NULL OR r.logical_us >= :since_us)
  AND (:until_us IS NULL OR r.logical_us < :until_us)
  AND r.run_id < :before
ORDER BY r.run_id DESC
LIMIT :limit;

-- :name run
-- `bide show`: one run, with its parameters and the version of the graph it runs.
SELECT r.run_id, d.name, r.state, r.kind, r.run_key, r.logical_us, r.start_us, r.end_us, r.scheduled_us,
       r.created_us, r.started_us, r.ended_us, r.reason, r.deadline_us, r.params, v.hash, v.spec
FROM run r JOIN dag d ON d.dag_id = r.dag_id JOIN dag_version v ON v.version_id = r.version_id
WHERE r.run_id = :run_id;

-- :name tasks
-- `bide show`: the run's instances, in the order they were made, which is the order of declaration.
SELECT i.instance_id, i.task, i.map_index, i.state, i.attempt, i.failures, i.attempt_id, i.since_us,
       i.due_us, i.deadline_us, i.reason, NULL AS output
FROM task_instance i
WHERE i.run_id = :run_id
ORDER BY i.instance_id;

-- :name tasks_after
-- `bide show`: a page of them, with the time that their attempts have held a slot.
SELECT i.task, i.map_index, i.state, i.attempt, i.reason,
       (SELECT coalesce(sum(a.active_us), 0) FROM attempt a WHERE a.instance_id = i.instance_id) AS slot_us
FROM task_instance i
WHERE i.run_id = :run_id AND i.instance_id > :after
ORDER BY i.instance_id
LIMIT :limit;

-- :name instance
-- `bide logs`: one instance of a mapped task, along the index, however many there are.
SELECT i.instance_id, i.task, i.map_index, i.state, i.attempt, i.failures, i.attempt_id, i.since_us,
       i.due_us, i.deadline_us, i.reason, NULL AS output
FROM task_instance i
WHERE i.run_id = :run_id AND i.task = :task AND i.map_index = :map_index;

-- :name attempts_of
-- `bide logs`: every try of one instance, oldest first.
SELECT a.attempt_id, i.task, i.map_index, a.number, a.state, a.epoch, a.started_us, a.ended_us,
       a.active_us, a.error, a.metrics
FROM attempt a JOIN task_instance i ON i.instance_id = a.instance_id
WHERE a.instance_id = :instance_id
ORDER BY a.attempt_id;

-- :name tasks_whole
-- The picture of a run: the same without the instances of mapped tasks.
SELECT i.instance_id, i.task, i.map_index, i.state, i.attempt, i.failures, i.attempt_id, i.since_us,
       i.due_us, i.deadline_us, i.reason, NULL AS output
FROM task_instance i
WHERE i.run_id = :run_id AND i.map_index = -1
ORDER BY i.instance_id;

-- :name instance_counts
-- The picture of a run: how far its mapped tasks are.
SELECT i.task, i.state, count(*)
FROM task_instance i
WHERE i.run_id = :run_id AND i.map_index >= 0
GROUP BY i.task, i.state;

-- :name tasks_with_outputs
-- The same with what each task returned; outputs can be large, so only when asked.
SELECT i.instance_id, i.task, i.map_index, i.state, i.attempt, i.failures, i.attempt_id, i.since_us,
       i.due_us, i.deadline_us, i.reason, o.value AS output
FROM task_instance i LEFT JOIN output o ON o.instance_id = i.instance_id
WHERE i.run_id = :run_id
ORDER BY i.instance_id;

-- :name mapped
-- `bide why`: how many instances each mapped task of a run has when all are made.
SELECT i.task, e.items
FROM task_instance i JOIN expansion e ON e.instance_id = i.instance_id
WHERE i.run_id = :run_id;

-- :name attempts
-- `bide show`, `bide logs`: every try of a run's tasks, oldest first; `task` narrows it.
SELECT a.attempt_id, i.task, i.map_index, a.number, a.state, a.epoch, a.started_us, a.ended_us,
       a.active_us, a.error, a.metrics
FROM task_instance i JOIN attempt a ON a.instance_id = i.instance_id
WHERE i.run_id = :run_id AND (:task IS NULL OR i.task = :task) AND (NOT :whole OR i.map_index = -1)
ORDER BY a.attempt_id;

-- :name waits
-- `bide waits`: what is waited for now, oldest first; `run_id` and `after` narrow and page it.
SELECT w.wait_id, i.run_id, d.name, i.task, i.map_index, w.key, w.kind, w.trigger, w.created_us,
       w.deadline_us, w.poll_us, w.reason
FROM wait w
JOIN task_instance i ON i.instance_id = w.instance_id
JOIN run r ON r.run_id = i.run_id
JOIN dag d ON d.dag_id = r.dag_id
WHERE w.state = 'open' AND w.wait_id > :after AND (:run_id IS NULL OR i.run_id = :run_id)
ORDER BY w.wait_id
LIMIT :limit;

-- :name waits_below
-- Pages of open waits: the newest first, below an id; `ids` (JSON), `dag` and `kind` narrow them.
SELECT w.wait_id, i.run_id, d.name, i.task, i.map_index, w.key, w.kind, w.trigger, w.created_us,
       w.deadline_us, w.poll_us, w.reason
FROM wait w
JOIN task_instance i ON i.instance_id = w.instance_id
JOIN run r ON r.run_id = i.run_id
JOIN dag d ON d.dag_id = r.dag_id
WHERE w.state = 'open' AND w.wait_id < :before
  AND (:ids IS NULL OR w.wait_id IN (SELECT value FROM json_each(:ids)))
  AND (:dag IS NULL OR d.name = :dag) AND (:kind IS NULL OR w.kind = :kind)
ORDER BY w.wait_id DESC
LIMIT :limit;

-- :name alerts
-- `bide alerts`: what people should know, newest first; `state` narrows it.
SELECT alert_id, kind, run_id, subject, promise, due_us, fired_us, text, payload, state, severity, owners
FROM alert
WHERE (:state IS NULL OR state = :state) AND alert_id < :before
ORDER BY alert_id DESC
LIMIT :limit;

-- :name alerts_of_run
-- `bide show`, `bide why`: those of one run, along their index.
SELECT alert_id, kind, run_id, subject, promise, due_us, fired_us, text, payload, state, severity, owners
FROM alert INDEXED BY alert_of_run
WHERE run_id = :run_id AND (:state IS NULL OR state = :state) AND alert_id < :before
ORDER BY alert_id DESC
LIMIT :limit;

-- :name events
-- `bide events`, the live feed: the journal after a sequence number.
SELECT seq, at_us, epoch, subject, subject_id, run_id, was, now, reason
FROM event
WHERE seq > :after
ORDER BY seq
LIMIT :limit;

-- :name events_of_run
-- `bide why`: one run's part of the journal, along its index.
SELECT seq, at_us, epoch, subject, subject_id, run_id, was, now, reason
FROM event
WHERE run_id = :run_id AND seq > :after
ORDER BY seq
LIMIT :limit;

-- :name last_event
-- Where a live feed that asks for news only begins.
SELECT coalesce(max(seq), 0) FROM event;

-- :name run_counts
-- Health and metrics: runs by state.
SELECT state, count(*) FROM run GROUP BY state ORDER BY state;

-- :name task_counts
-- Health and metrics: instances by state, of unfinished runs only (CROSS JOIN: in that order, always).
SELECT i.state, count(*)
FROM run r CROSS JOIN task_instance i ON i.run_id = r.run_id
WHERE r.ended_us IS NULL
GROUP BY i.state
ORDER BY i.state;

-- :name wait_counts
-- Health and metrics: open waits by kind of trigger.
SELECT kind, count(*) FROM wait WHERE state = 'open' GROUP BY kind ORDER BY kind;

-- :name schedule_of_dag
-- `bide schedule`: by what its next firings are computed, and how missed ones are judged.
SELECT d.dag_id, d.name, d.schedule, d.options, v.spec, d.paused, d.removed, d.anchor_us, d.watermark_us, d.backlog
FROM dag d JOIN dag_version v ON v.version_id = d.version_id
WHERE d.name = :name;

-- :name skipped_of_dag
-- `bide schedule`: the firings that were not run, the newest decision first.
SELECT from_us, until_us, reason, at_us
FROM skipped_firing
WHERE dag_id = :dag_id
ORDER BY skip_id DESC
LIMIT :limit;

-- :name held_of_dag
-- `bide schedule`: what is waited for without a run.
SELECT standing_id, kind, trigger, since_us, firings, fired_us
FROM standing
WHERE dag_id = :dag_id AND ended_us IS NULL
ORDER BY standing_id;

-- :name standing
-- `bide waits`: what schedules wait for, without a run.
SELECT s.standing_id, d.name, s.kind, s.trigger, s.since_us
FROM standing s JOIN dag d ON d.dag_id = s.dag_id
WHERE s.ended_us IS NULL AND d.removed = 0
ORDER BY s.standing_id;

-- :name cause_of_run
-- `bide why`: the first line that the journal has on a run says what it was made for.
SELECT reason FROM event WHERE run_id = :run_id AND subject = 'run' ORDER BY seq LIMIT 1;
