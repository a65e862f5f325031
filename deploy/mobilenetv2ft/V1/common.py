"""Names of this deployment, and of its classes for people."""

MODEL = "mobilenetv2ft-kvasir4"
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

PAGE = {
    "en": {
        "title": "Endoscopy",
        "notice": "It knows frames of the large bowel and of the oesophagus. To any other image it "
        "answers as well, and the answer means nothing.",
    },
    "es": {
        "title": "Endoscopia",
        "notice": "Conoce imágenes del colon y del esófago. A cualquier otra imagen también "
        "responde, y la respuesta no significa nada.",
    },
}
"""What the page is called and what its reader must know of the model, by language."""
