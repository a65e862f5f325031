"""The model of this deployment, and the texts of its page."""

MODEL = "vgg16ft-kidney2"
"""Registered name in MLflow, and name of the model in BentoML's store."""

LABELS = {
    "en": {"Normal": "Normal", "Tumor": "Tumour"},
    "es": {"Normal": "Normal", "Tumor": "Tumor"},
}
"""Names of the classes on the page, by language."""

PAGE = {
    "en": {
        "title": "Kidney CT",
        "notice": "The model was trained on single slices of abdominal CT, exported as pictures. "
        "It does not see the neighbouring slices. It refuses most other images, but not all: a "
        "prediction for one means nothing.",
    },
    "es": {
        "title": "TC de riñón",
        "notice": "El modelo se entrenó con cortes sueltos de TC abdominal, exportados como "
        "imagen. No ve los cortes vecinos. Rechaza casi todas las demás imágenes, pero no todas: "
        "una predicción para ellas no significa nada.",
    },
}
"""Title and notice of the page, by language."""
