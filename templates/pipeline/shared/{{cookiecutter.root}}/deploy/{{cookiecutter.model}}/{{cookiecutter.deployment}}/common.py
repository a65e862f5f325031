"""The model of this deployment, and the texts of its page."""

MODEL = "{{cookiecutter.model}}-{{cookiecutter.dataset}}"
"""Registered name in MLflow, and name of the model in BentoML's store."""

LABELS = {{cookiecutter.labels}}
{%- if cookiecutter.task == "table" %}
"""Names of classes, columns (with `_help`) and choices on the page, by language.

The page takes the missing ones from the model's schema."""
{%- else %}
"""Names of the classes on the page, by language."""
{%- endif %}

{%- set what = "rows" if cookiecutter.task == "table" else "images" %}
{%- set que = "filas" if cookiecutter.task == "table" else "imágenes" %}

PAGE = {
    "en": {"title": "{{cookiecutter.dataset}}", "notice": "The model was trained on {{what}} of {{cookiecutter.dataset}} only."},
    "es": {"title": "{{cookiecutter.dataset}}", "notice": "El modelo se entrenó solo con {{que}} de {{cookiecutter.dataset}}."},
}
"""Title and notice of the page, by language."""
