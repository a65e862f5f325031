"""Where this model's hyper-parameters are looked for: where all models of tables look."""

from models.tables import search_space

__all__ = ["search_space"]
