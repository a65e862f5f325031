"""Data for training: types, decoded pixels, splits."""
