"""MLflow: log runs, register models, and read finished runs."""
