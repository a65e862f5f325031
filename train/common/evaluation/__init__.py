"""Metrics with intervals, figures and the report of a run."""
