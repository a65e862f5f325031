"""What belongs to kvasir4 alone."""

CLASSES = ("0_normal", "1_ulcerative_colitis", "2_polyps", "3_esophagitis")
"""Folder names of the classes that `synthetic.draw` draws, in the order of their numbers."""
