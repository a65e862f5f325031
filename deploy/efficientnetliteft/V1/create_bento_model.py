"""Import the model of this deployment from MLflow into BentoML's store.

    python deploy/efficientnetliteft/V1/create_bento_model.py [--model-uri URI]

URI is runs:/... or models:/...; the default is the champion.
"""

import sys
from pathlib import Path


def main() -> None:
    """Import, and print the tag in BentoML's store."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the root of the repository
    from deploy.efficientnetliteft.V1.common import MODEL
    from deploy.importing.store import create

    create(MODEL, MODEL)


if __name__ == "__main__":
    main()
