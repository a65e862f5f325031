"""Names of this deployment, and of its classes for people."""

MODEL = "{{cookiecutter.model}}-{{cookiecutter.dataset}}"
"""Registered name in MLflow, and name of the model in BentoML's store."""

LABELS = {{cookiecutter.labels}}
{%- if cookiecutter.task == "table" %}
"""What the page calls classes, columns (with `_help`) and choices, by language.

What is missing here, the page takes from the model's schema."""
{%- else %}
"""What the page calls the classes, by language."""
{%- endif %}

{%- set what = "rows" if cookiecutter.task == "table" else "images" %}
{%- set que = "filas" if cookiecutter.task == "table" else "imágenes" %}

PAGE = {
    "en": {"title": "{{cookiecutter.dataset}}", "notice": "It knows {{what}} of {{cookiecutter.dataset}} alone."},
    "es": {"title": "{{cookiecutter.dataset}}", "notice": "Solo conoce {{que}} de {{cookiecutter.dataset}}."},
}
"""What the page is called and what its reader must know of the model, by language."""
