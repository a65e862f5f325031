"""Helpers of this model alone: none yet. `models.common` has the code that models share."""
