"""MLflow: what a run logs, and what is read back of finished runs."""
