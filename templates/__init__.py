"""Generators: a pipeline in this repository, a project beside it."""
