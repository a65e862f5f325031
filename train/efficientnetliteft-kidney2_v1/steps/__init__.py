"""The five steps, in the order of the pipeline: ingest, transform, split, train, metrics."""
