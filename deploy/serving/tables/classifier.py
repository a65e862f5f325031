"""The table classifier: from checked rows to predictions.

The pipeline is stored by skops, without code. Loading builds only the types that are listed here
and refuses every other, so a model from elsewhere can be wrong but cannot run code.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
import yaml

from ..http.limits import Limits
from ..http.refusals import Refused
from ..http.servable import Facts, Servable
from .schema import Rows, Schema

log = logging.getLogger(__name__)

SKOPS = "model.skops"
"""Name of the file in a model of MLflow's scikit-learn flavour."""
TRUSTED = (
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types that skops may build beside those that it trusts by default."""


class TableClassifier(Servable):
    """A classifier of rows; `schema` is known once it is ready."""

    def __init__(self, facts: Facts, folder: Path, limits: Limits) -> None:
        super().__init__(facts, folder, limits)
        self.schema: dict[str, Any] = {}
        self.rows: Schema | None = None
        self._pipeline: Any = None

    @property
    def ready(self) -> bool:
        """Whether the pipeline is loaded and warm."""
        return self._pipeline is not None

    def load(self) -> None:
        """Load the schema and the pipeline, check that they agree, and predict one row."""
        described = yaml.safe_load((self.folder / "MLmodel").read_text(encoding="utf-8"))
        pipeline = skops.io.load(self.folder / SKOPS, trusted=list(TRUSTED))
        schema, columns = described["metadata"]["schema"], list(pipeline.feature_names_in_)
        self._check_classes(len(pipeline.classes_))
        if set(columns) != set(schema["properties"]):
            raise ValueError(
                f"{self.facts.name} {self.facts.version} takes the columns {', '.join(columns)}, "
                f"its schema names {', '.join(schema['properties'])}"
            )
        # MLflow sorts what it stores; people read the columns in the order of the dataset.
        schema["properties"] = {name: schema["properties"][name] for name in columns}
        rows = Schema(schema)
        pipeline.predict_proba(_frame(rows.checked([rows.example()]), rows))
        self.schema, self.rows, self._pipeline = schema, rows, pipeline

    def classify(self, rows: Rows) -> list[dict[str, Any]]:
        """One prediction for each checked row: `label`, and `probabilities` by class."""
        if self._pipeline is None or self.rows is None:
            raise Refused(503, "not_ready", "the model is still being loaded", retry_after=2)
        probabilities = self._pipeline.predict_proba(_frame(rows, self.rows))
        classes = self.facts.classes
        return [
            {
                "label": classes[index],
                "probabilities": dict(zip(classes, map(float, row), strict=True)),
            }
            for index, row in zip(probabilities.argmax(axis=1), probabilities, strict=True)
        ]


def _frame(rows: Rows, schema: Schema) -> pd.DataFrame:
    """`rows` with the types of training: numbers as float64, None as NaN."""
    frame = pd.DataFrame(rows, columns=list(schema.properties))
    numbers = [n for n, each in schema.properties.items() if "enum" not in each]
    return frame.astype(
        {n: np.float64 for n in numbers if "string" not in schema.properties[n]["type"]}
    )
