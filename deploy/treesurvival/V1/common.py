"""The model of this deployment, and the texts of its page."""

MODEL = "treesurvival-treesurvival"
"""Registered name in MLflow, and name of the model in BentoML's store."""

LABELS = {
    "en": {"survived": "Survives", "not_survived": "Does not survive"},
    "es": {
        "survived": "Sobrevive",
        "not_survived": "No sobrevive",
        "Species": "Especie",
        "Species_help": "Especie de la plántula.",
        "Light_ISF": "Luz",
        "Light_ISF_help": "Factor de sitio indirecto: parte de la luz del cielo abierto, de 0 a 1.",
        "Core": "Muestra de suelo",
        "Core_help": "Año en que se tomó la muestra de suelo.",
        "Soil": "Suelo",
        "Soil_help": "Especie del árbol de cuyo suelo se trata, o estéril.",
        "Sterile": "Estéril",
        "Sterile_help": "Si el suelo se esterilizó.",
        "Non-Sterile": "No estéril",
        "Sterilized": "Esterilizado",
        "Light_Cat": "Clase de luz",
        "Light_Cat_help": "La luz en tres clases.",
        "Low": "Poca",
        "Med": "Media",
        "High": "Mucha",
        "Conspecific": "De la misma especie",
        "Conspecific_help": "Si el suelo es de un árbol de la especie de la plántula.",
        "Heterospecific": "De otra especie",
        "Myco": "Micorriza",
        "Myco_help": "Tipo de micorriza de la especie de la plántula.",
        "SoilMyco": "Micorriza del suelo",
        "SoilMyco_help": "Tipo de micorriza del árbol del suelo.",
        "AMF_help": "Raíces finas colonizadas por hongos arbusculares, en porcentaje.",
        "EMF_help": "Puntas de raíz colonizadas por hongos ectomicorrícicos, en porcentaje; vacío "
        "en especies AMF.",
        "Phenolics": "Fenoles",
        "Phenolics_help": "Fenoles, en nmol de ácido gálico por mg de extracto seco.",
        "Lignin": "Lignina",
        "Lignin_help": "Lignina, en porcentaje de la masa seca.",
        "NSC": "Carbohidratos",
        "NSC_help": "Carbohidratos no estructurales, en porcentaje de la masa seca.",
    },
}
"""Names of classes, columns (with `_help`) and choices on the page, by language.

The page takes the missing ones from the model's schema, which is in English."""

PAGE = {
    "en": {
        "title": "Survival of seedlings",
        "notice": "The model was trained on seedlings of four species, planted in a forest in one "
        "spring. Deaths before a harvest were counted, but not the survivors that were harvested, "
        "so its probabilities of dying are somewhat high.",
    },
    "es": {
        "title": "Supervivencia de plántulas",
        "notice": "El modelo se entrenó con plántulas de cuatro especies, plantadas en un bosque "
        "en una sola primavera. Se contaron las muertes anteriores a una cosecha, pero no las "
        "plántulas que se cosecharon vivas: sus probabilidades de morir son algo altas.",
    },
}
"""Title and notice of the page, by language."""
