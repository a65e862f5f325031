"""The container image of every image service: Python on Debian, and what serving needs.

No TensorFlow, no MLflow and no compiler. BentoML adds itself, the service, its model, and the
user `bentoml` that runs it.
"""

from pathlib import Path

from bentoml.images import Image

UV = "uv==0.13.9"
"""What BentoML installs packages with, as in Pipfile.lock; it would take any version."""

IMAGE = (
    Image(
        base_image="docker.io/library/python:3.11-slim",
        distro="python",  # none that BentoML knows: into those it installs git and a compiler
        python_version="3.11",
        lock_python_packages=False,  # they are locked already
    )
    .run(f"pip install --no-cache-dir --root-user-action ignore {UV}")
    .python_packages(*Path(__file__).with_name("requirements.txt").read_text().splitlines())
)
