"""The search space of hyper-parameters, which is that of all models of tables."""

from models.tables import search_space

__all__ = ["search_space"]
