"""What belongs to {{cookiecutter.dataset}} alone."""

CLASSES = ("0_disc", "1_square")
"""Folder names of the classes that `synthetic.draw` draws, in the order of their numbers."""
