"""The model of this deployment, and the texts of its page."""

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
"""Names of the classes on the page, by language."""

PAGE = {
    "en": {
        "title": "Endoscopy",
        "notice": "The model was trained on frames of the large bowel and the oesophagus. It "
        "refuses most other images, but not all: a prediction for one means nothing.",
    },
    "es": {
        "title": "Endoscopia",
        "notice": "El modelo se entrenó con imágenes del colon y del esófago. Rechaza casi todas "
        "las demás, pero no todas: una predicción para ellas no significa nada.",
    },
}
"""Title and notice of the page, by language."""
