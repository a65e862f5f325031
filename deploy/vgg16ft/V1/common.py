"""Names of this deployment, and of its classes for people."""

MODEL = "vgg16ft-kidney2"
"""Registered name in MLflow, and name of the model in BentoML's store."""

LABELS = {
    "en": {"Normal": "Normal", "Tumor": "Tumour"},
    "es": {"Normal": "Normal", "Tumor": "Tumor"},
}
"""What the page calls the classes, by language."""

PAGE = {
    "en": {
        "title": "Kidney CT",
        "notice": "It knows single slices of abdominal CT, exported as pictures. It does not see "
        "the slices beside one, and to any other image it answers as well, which means nothing.",
    },
    "es": {
        "title": "TC de riñón",
        "notice": "Conoce cortes sueltos de TC abdominal, exportados como imagen. No ve los cortes "
        "vecinos, y a cualquier otra imagen también responde, lo que no significa nada.",
    },
}
"""What the page is called and what its reader must know of the model, by language."""
