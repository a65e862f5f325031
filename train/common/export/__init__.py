"""From a trained model to what is registered and served."""
