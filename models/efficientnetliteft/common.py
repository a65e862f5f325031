"""Helpers of this model alone: none yet; what models share is in `models.common`."""
