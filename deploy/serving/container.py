"""Container images of the two kinds of services: Python on Debian, and the packages of each.

No TensorFlow, no MLflow and no compiler. BentoML adds itself, the service, its model, and the
user `bentoml` that runs it.
"""

from pathlib import Path

from bentoml.images import Image

UV = "uv==0.13.9"
"""The installer that BentoML calls, pinned as in Pipfile.lock; BentoML would take any version."""

HOME = "/home/bentoml"
FOLDERS = [f"{HOME}/{name}" for name in ("bentos", "models", "envs", "tmp")]
"""BentoML makes these at its start, which it could not in a container with a read-only root."""


def _image(requirements: str) -> Image:
    """Python with the packages of the file `requirements`."""
    packages = Path(__file__).with_name(requirements).read_text().splitlines()
    bare = Image(
        base_image="docker.io/library/python:3.11-slim",
        distro="python",  # BentoML installs git and a compiler into the ones it knows
        python_version="3.11",
        lock_python_packages=False,  # the file is locked already
    )
    return (
        bare.run(f"pip install --no-cache-dir --root-user-action ignore {UV}")
        .python_packages(*packages)
        .run(f"install -d -o bentoml -g bentoml {' '.join(FOLDERS)}")
    )


IMAGE = _image("requirements.txt")
TABLE_IMAGE = _image("requirements-tables.txt")
