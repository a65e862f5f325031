"""What models of tables share: how a fitted pipeline leaves training without pickle."""

TRUSTED = (
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types of a stored pipeline that skops asks about: it builds them without running foreign code.

A service has a list of its own (`deploy/serving/tables.py`), for it does not believe a model."""
