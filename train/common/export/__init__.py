"""Export a trained model to the files that are registered and served."""
