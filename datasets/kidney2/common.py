"""What belongs to kidney2 alone."""

CLASSES = ("Normal", "Tumor")
"""Folder names of the classes that `synthetic.draw` draws, in the order of their numbers."""
