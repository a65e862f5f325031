"""From ecr.sh to an answer out of the container that was pulled back from the registry.

tests/container/run.sh makes the world that this needs, and calls it.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.deploy import tables
from tests.deploy.common import FIRST, MODEL, Trained, deploy, names, odd_images
from tests.deploy.tables import TrainedTable
from tests.deploy.test_predict import assert_same, keras_probabilities, predictions
from tests.servers import free_port

HOST = os.environ.get("SONDA_CONTAINER_TEST", "")
BUILD_SECONDS = 1200
START_SECONDS = 120
MAX_BYTES = 900 * 10**6
"""Aim for the size of an image."""
HARDENED = ("--read-only", "--security-opt=no-new-privileges", "--cap-drop=all")
"""As the guide starts a container: it writes to its memory only, and gains no rights."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HOST, reason="a container test: make test-container"),
    pytest.mark.timeout(BUILD_SECONDS + 600),
]


def podman(*arguments: str) -> str:
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def pushed(deployment: str, environment: dict[str, str]) -> str:
    """The URI of an image that ecr.sh pushed, and that was then pulled from the registry."""
    from mlflow import MlflowClient

    name = names(deployment)["MODEL"]
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    client.set_registered_model_alias(name, "champion", "1")
    done = subprocess.run(
        ["./ecr.sh", "--backend", "podman"],
        cwd=deploy(deployment),
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    image = done.stdout.splitlines()[-1]
    assert image == f"{HOST}/{name}:latest"
    [unique] = re.findall(
        rf"== pushing {HOST}/{name}:([0-9a-f]{{40}}(?:-dirty)?-\w+)$", done.stderr, re.M
    )
    built = podman("image", "inspect", "-f", "{{.Id}}", image)
    podman("rmi", "-f", built)
    refused = subprocess.run(["podman", "pull", "-q", image], capture_output=True, text=True)
    assert refused.returncode, "ecr.sh leaves a login behind"
    password = subprocess.run(
        ["aws", "ecr", "get-login-password"], capture_output=True, text=True, check=True
    ).stdout
    login = f"AWS:{password.strip()}"
    for tag in ("latest", unique):
        podman("pull", "-q", "--creds", login, f"{HOST}/{name}:{tag}")
        assert podman("image", "inspect", "-f", "{{.Id}}", f"{HOST}/{name}:{tag}") == built
    return image


@contextmanager
def started(image: str) -> Iterator[str]:
    """The address of the running container."""
    port = free_port()
    hardened = ("--read-only", "--security-opt=no-new-privileges", "--cap-drop=all")
    name = podman(
        "run", "-d", *hardened, image, "serve", "--host", "127.0.0.1", "--port", str(port)
    )
    address = f"http://127.0.0.1:{port}"
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            if requests.get(f"{address}/readyz", timeout=5).ok:
                break
        except requests.RequestException:
            pass
        if time.monotonic() > end:
            said = subprocess.run(["podman", "logs", name], capture_output=True, text=True)
            pytest.fail(f"the container did not get ready:\n{(said.stdout + said.stderr)[-3000:]}")
        time.sleep(0.2)
    yield address
    podman("rm", "-f", "-t", "3", name)


@pytest.fixture(scope="module")
def image(trained: Trained) -> str:
    return pushed(FIRST, trained.environment)


@pytest.fixture(scope="module")
def container(image: str) -> Iterator[str]:
    with started(image) as address:
        yield address


@pytest.fixture(scope="module")
def table_image(table: TrainedTable) -> str:
    return pushed(tables.DEPLOYMENT, table.environment)


def test_the_container_gives_the_probabilities_of_keras(
    container: str, trained: Trained, frames: list[bytes], tmp_path: Path
) -> None:
    rows = []
    for content in [*frames, *odd_images().values()]:
        [answer] = predictions(requests.post(f"{container}/predict", files={"image": content}))
        assert_same(answer, keras_probabilities(trained, content, tmp_path))
        rows.append(list(answer["probabilities"].values()))
    assert (np.ptp(np.array(rows), axis=0) > 0.01).any()  # else parity would prove nothing


def test_the_container_says_which_model_it_is_and_explains(
    container: str, trained: Trained, frames: list[bytes]
) -> None:
    url = f"{container}/predict?explain=true"
    answer = requests.post(url, files={"image": frames[0]}).json()
    assert answer["model"] == {"name": MODEL, "version": "1", "run_id": trained.run_id}
    assert answer["predictions"][0]["overlay"]
    assert "<html" in requests.get(f"{container}/").text


def test_the_container_of_tables_gives_the_probabilities_of_scikit_learn(
    table_image: str, table: TrainedTable
) -> None:
    csv = table.rows.to_csv(index=False)
    with started(table_image) as address:
        answers = tables.post(address, **tables.body(csv, tables.CSV))
    expected = table.pipeline.predict_proba(table.rows)
    np.testing.assert_allclose(tables.probabilities(answers), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "needed"), [("image", {"openvino", "pillow"}), ("table_image", {"skops"})]
)
def test_the_image_runs_as_a_plain_user_and_holds_only_what_serving_needs(
    kind: str, needed: set[str], request: pytest.FixtureRequest
) -> None:
    image = request.getfixturevalue(kind)
    listing = (
        "id -u; command -v gcc g++ cc make git; /app/.venv/bin/python -c '"
        "import importlib.metadata as m, json;"
        'print(json.dumps([d.metadata["Name"].lower() for d in m.distributions()]))\''
    )
    user, *compilers, packages = podman("run", "--rm", image, "sh", "-c", listing).splitlines()
    assert user != "0"
    assert compilers == []
    installed = set(json.loads(packages))
    assert {"bentoml"} | needed <= installed
    assert not installed & {"tensorflow", "tensorflow-cpu", "keras", "mlflow", "mlflow-skinny"}
    size = int(podman("image", "inspect", "-f", "{{.Size}}", image))
    assert size < MAX_BYTES, f"the image has {size / 1e6:.0f} MB"
