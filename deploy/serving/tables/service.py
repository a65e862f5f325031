"""The table service: how it reads a request, and what it answers.

```mermaid
flowchart LR
    request --> admit["admission: 503 when full"] --> read["upload: 400 408 413 415"]
    read --> rows["JSON or CSV: 400 413"] --> schema["schema: 422"] --> pipeline --> answer["JSON"]
```
"""

from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import Request

from ..http.admission import RETRY_SECONDS, Place
from ..http.limits import Limits
from ..http.refusals import Refused
from ..http.routes import Service, Work
from .classifier import TableClassifier
from .openapi import specification
from .records import read_records

TABLE_BYTES = 5 * 2**20
"""Default of `max_bytes`: 10,000 rows of treesurvival are 1 MB of JSON."""


class TableService(Service[TableClassifier]):
    """Classifies rows of a table; its page is a form made from the schema."""

    kind = TableClassifier
    page = Path(__file__).parents[1] / "pages" / "form"
    limits = Limits(max_bytes=TABLE_BYTES)

    async def read(self, request: Request, classifier: TableClassifier, place: Place) -> Work:
        """The prediction of each row in `request`. Raises `Refused`."""
        if classifier.rows is None:
            raise Refused(503, "not_ready", "the model is still being loaded", RETRY_SECONDS)
        limits, schema = classifier.limits, classifier.rows
        rows = await read_records(request, limits, schema, place.in_thread)
        return Work(partial(classifier.classify, rows), len(rows))

    def described(self, classifier: TableClassifier) -> dict[str, Any]:
        """The schema that the form is made from; empty until the model is loaded."""
        return {"schema": classifier.schema, "max_rows": classifier.limits.max_rows}

    def specification(self) -> dict[str, Any]:
        """The OpenAPI document; there is one before the model is loaded, too."""
        return specification(self.classifier)
