"""The demo: one DAG waits on files, HTTP, Kafka, time and another DAG at once, and holds no slot."""
