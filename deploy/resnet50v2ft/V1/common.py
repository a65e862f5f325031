"""Names of this deployment, and of its classes for people."""

MODEL = "resnet50v2ft-kvasir4"
"""Registered name in MLflow, and name of the model in BentoML's store."""

LABELS = {
    "en": {
        "0_normal": "Normal",
        "1_ulcerative_colitis": "Ulcerative colitis",
        "2_polyps": "Polyps",
        "3_esophagitis": "Esophagitis",
    },
    "es": {
        "0_normal": "Normal",
        "1_ulcerative_colitis": "Colitis ulcerosa",
        "2_polyps": "Pólipos",
        "3_esophagitis": "Esofagitis",
    },
}
"""What the page calls the classes, by language."""
