"""Data on their way to training: types, decoded pixels, splits."""
