"""The built Bento and `mlflow models serve` answer as Keras and the service do."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from datasets.common.images import read_image
from models.common import FEATURE_MAP, PROBABILITIES
from tests.common import ROOT
from tests.deploy.common import MODEL, SIDE, Trained, odd_images, run_script
from tests.deploy.test_predict import TOLERANCE, assert_same, keras_probabilities, predictions
from tests.servers import free_port, running

pytestmark = pytest.mark.slow

DEPLOYMENT = "resnet50v2ft/V1"


@pytest.fixture(scope="module")
def built_bento(trained: Trained) -> str:
    """The tag of the Bento that `bentoml build` makes."""
    create = f"deploy/{DEPLOYMENT}/create_bento_model.py"
    assert run_script(trained, create, "--model-uri", f"models:/{MODEL}/1").returncode == 0
    file = f"deploy/{DEPLOYMENT}/bentofile.yaml"
    built = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "-f", file, "-o", "tag", "."],
        cwd=ROOT, env=trained.environment, capture_output=True, text=True,
    )  # fmt: skip
    found = re.search(r"__tag__:(\S+)", built.stdout)
    assert found, built.stderr
    return found[1]


@pytest.fixture(scope="module")
def bento(
    built_bento: str, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the Bento, served from outside the checkout."""
    port, log = free_port(), tmp_path_factory.mktemp("bento") / "log"
    command = ["-m", "bentoml", "serve", built_bento, "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, "/readyz", trained.environment, log) as server:
        yield server.address


@pytest.fixture(scope="module")
def mlflow_serving(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `mlflow models serve` on the registered model."""
    port, log = free_port(), tmp_path_factory.mktemp("mlflow") / "log"
    command = ["-m", "mlflow", "models", "serve", "-m", f"models:/{MODEL}/1"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, "/ping", trained.environment, log) as server:
        yield server.address


TRAVELS = (
    "deploy/serving/",
    f"deploy/{DEPLOYMENT}/",
    "datasets/__init__.py",
    "datasets/common/__init__.py",
    "datasets/common/images/",
)


def test_nothing_but_service_deployment_and_reader_travels(
    built_bento: str, trained: Trained
) -> None:
    home = Path(trained.environment["BENTOML_HOME"], "bentos", *built_bento.split(":"))
    found = {
        path.relative_to(home / "src").as_posix()
        for path in (home / "src").rglob("*")
        if path.is_file()
    }
    tracked = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT)
    expected = {name for name in tracked.decode().splitlines() if name.startswith(TRAVELS)}
    assert "datasets/common/images/decode.py" in expected
    assert found == expected | {"bentofile.yaml"}
    assert (ROOT / "README.md").read_text() != (home / "README.md").read_text()


def test_the_bento_gives_the_probabilities_of_keras(
    bento: str, trained: Trained, frames: list[bytes], tmp_path: Path
) -> None:
    rows = []
    for content in [*frames, *odd_images().values()]:
        [answer] = predictions(requests.post(f"{bento}/predict", files={"image": content}))
        assert_same(answer, keras_probabilities(trained, content, tmp_path))
        rows.append(list(answer["probabilities"].values()))
    assert np.ptp(np.array(rows), axis=0).max() > 10 * TOLERANCE  # else it would prove nothing


def test_the_sample_input_travels_with_the_bento(bento: str) -> None:
    sample = ROOT / "deploy" / DEPLOYMENT / "sample-input.jpg"
    assert requests.get(f"{bento}/sample-input").content == sample.read_bytes()


def test_mlflow_models_serve_gives_the_probabilities_of_keras(
    mlflow_serving: str, trained: Trained, frames: list[bytes], tmp_path: Path
) -> None:
    for content in [*frames, *odd_images().values()]:
        path = tmp_path / "image"
        path.write_bytes(content)
        pixels = read_image(path, 10**8, size=SIDE)[None]
        sent = requests.post(f"{mlflow_serving}/invocations", json={"inputs": pixels.tolist()})
        assert sent.status_code == 200, sent.text
        answer = sent.json()["predictions"]
        assert set(answer) == {PROBABILITIES, FEATURE_MAP}
        expected = keras_probabilities(trained, content, tmp_path)
        np.testing.assert_allclose(answer[PROBABILITIES][0], expected, atol=TOLERANCE)
