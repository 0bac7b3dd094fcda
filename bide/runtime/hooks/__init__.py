"""What comes from outside and makes runs: webhooks and CloudEvents, declared beside DAGs. Pure."""
