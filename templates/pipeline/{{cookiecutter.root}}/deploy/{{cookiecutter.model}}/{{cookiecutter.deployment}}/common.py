"""Names of this deployment, and of its classes for people."""

MODEL = "{{cookiecutter.model}}-{{cookiecutter.dataset}}"
"""Registered name in MLflow, and name of the model in BentoML's store."""

LABELS: dict[str, dict[str, str]] = {"en": {}, "es": {}}
"""What the page calls the classes, by language; without an entry, what their folders are called."""

PAGE = {
    "en": {"title": "{{cookiecutter.dataset}}", "notice": "It knows images of {{cookiecutter.dataset}} alone."},
    "es": {"title": "{{cookiecutter.dataset}}", "notice": "Solo conoce imágenes de {{cookiecutter.dataset}}."},
}
"""What the page is called and what its reader must know of the model, by language."""
