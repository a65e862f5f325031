"""Training: the trainer, its inputs, cached features, checkpoints, searches."""
