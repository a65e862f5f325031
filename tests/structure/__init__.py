"""The rules of the tree, as functions from a root folder to the list of what breaks them.

They read files and import nothing of the project, so they answer in about a second, and
`tests/test_structure.py` can point them at a bad tree to see that each of them can fail.
"""

from tests.structure.folders import file_problems, training_problems
from tests.structure.imports import circle_problems, import_problems, reader_problems
from tests.structure.presets import pipeline_problems, preset_problems
from tests.structure.texts import length_problems, model_card_problems

CHECKS = (
    import_problems,
    circle_problems,
    reader_problems,
    file_problems,
    training_problems,
    pipeline_problems,
    preset_problems,
    model_card_problems,
    length_problems,
)
