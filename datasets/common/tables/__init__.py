r"""Datasets in a table: the CSV file, its contract, and the rows that are verified.

A dataset provides a `Contract`: the columns of its file as a pandera schema, which of them may be
features, and why the others may not. Types, categories, ranges and descriptions stand there once.
The JSON Schema is made from it: a model stores it, and its service validates requests with it.

```mermaid
flowchart LR
    F[CSV file or drawn table] --> C{columns of the contract}
    C --> T[typed, column by column] --> P{pandera: categories, ranges, nulls}
    P --> O[outcome of each row] -->|unknown| Q[quarantined, with a reason]
    O --> U{features allowed, no class empty} --> B[Table]
```

A violation raises `conf.errors.UserError`, which names column, row and value. Row 1 is the first
below the header. Columns are found by name, in any order.

| module | what it holds |
|---|---|
| `csv_reader` | the one reader of CSV files, also of manifests and of rows to score |
| `contract` | `Contract`: the columns, and which may be features |
| `validation` | names, types, categories and ranges of a frame |
| `schema` | the JSON Schema of a record |
| `sources` | a file, or rows that are drawn |
| `table` | `Table`: the rows that are verified |
"""

from datasets.common.tables.contract import Contract
from datasets.common.tables.schema import json_schema
from datasets.common.tables.sources import Draw, load
from datasets.common.tables.table import Table, tabulate
from datasets.common.tables.validation import validated

__all__ = ["Contract", "Draw", "Table", "json_schema", "load", "tabulate", "validated"]
