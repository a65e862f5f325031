"""The service beside what people serve with today, interleaved in one run.

    python tests/benchmarks/serving.py                            generated frames, random weights
    python tests/benchmarks/serving.py --model-uri models:/resnet50v2ft-kvasir4/1 --images FOLDER

With a model and the folder of images it was trained on, the loss of accuracy in int8 is measured
as well: calibrated on the run's training images, compared on its test images.

The same model answers in five ways: the engine alone in this process (no HTTP, pixels ready), the
service in float32 and in int8, `mlflow models serve`, and a Flask app (flask_app.py). The service
and Flask get JPEG, `mlflow models serve` gets pixels as JSON, which is what it takes; bodies are
made before the clock starts. In every round each system serves each number of clients once.
"""

import argparse
import base64
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.serving.http.limits import cores
from deploy.serving.images.engine import Engine
from models.quantization import quantize
from tests.benchmarks.load import System
from tests.common import ROOT
from tests.deploy.common import encoded, frame
from tests.servers import Server, free_port, running

CLIENTS = (1, 4, 16)
DEPLOYMENT = "resnet50v2ft/V1"
NAME = "resnet50v2ft-kvasir4"
TRAINING = [
    "-m", "train", "+pipeline=train_resnet50v2ft", "env=development", "dataset.sample_images=10",
    "env.limits.image_size=224", "fit.warmup.epochs=1", "fit.finetune.epochs=1",
    "metrics.bootstrap=10",
]  # fmt: skip
CALIBRATION = 300
RESAMPLES = 1000


def trained(folder: Path) -> tuple[dict[str, str], str]:
    """Environment and URI of a model that was really trained, for minutes only, in `folder`."""
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    places = [f"env.cache={folder}/cache", f"hydra.run.dir={folder}/outputs"]
    print("training a model to serve", file=sys.stderr)
    command = [sys.executable, *TRAINING, *places]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=sys.stderr)
    return environment, f"models:/{NAME}/1"


def registered(environment: dict[str, str], uri: str) -> tuple[Path, Path, pd.DataFrame, dict]:
    """The ONNX file, the Keras file, the table of the splits, and the metadata of `uri`."""
    import mlflow

    mlflow.set_tracking_uri(environment["MLFLOW_TRACKING_URI"])
    info = mlflow.models.get_model_info(uri)
    run = info.run_id
    onnx = Path(mlflow.artifacts.download_artifacts(uri), "model.onnx")
    keras = Path(mlflow.artifacts.download_artifacts(f"runs:/{run}/keras"), "data/model.keras")
    splits = pd.read_csv(mlflow.artifacts.download_artifacts(f"runs:/{run}/data/splits.csv"))
    return onnx, keras, splits, info.metadata


def logged_int8(path: Path, metadata: dict) -> str:
    """URI of the int8 model at `path` in MLflow."""
    import mlflow
    import onnx

    mlflow.set_experiment("benchmark")
    with mlflow.start_run() as run:
        mlflow.onnx.log_model(
            onnx.load(path), name="serving", metadata=metadata, pip_requirements=[]
        )
    return f"runs:/{run.info.run_id}/serving"


def read(root: Path, files: pd.Series, side: int) -> np.ndarray:
    """uint8 (N, S, S, 3) of the named files, as training reads them."""
    from datasets.common.images import read_image

    return np.stack([read_image(root / name, 10**8, size=side) for name in files])


def accuracy_loss(exact: Engine, rounded: Engine, root: Path, test: pd.DataFrame) -> str:
    """The sentence on what int8 costs on the test images, with a paired bootstrap by cluster."""
    from train.common.evaluation import resampling

    pixels = read(root, test["file"], exact.image_size)
    right = [
        np.array([engine.run(one[None])[0].argmax() for one in pixels]) == test["label"].to_numpy()
        for engine in (exact, rounded)
    ]
    losses = 100 * (right[0].astype(float) - right[1])
    clusters = test["cluster"].to_numpy()
    drawn = [losses[rows].mean() for rows in resampling.rows(clusters, RESAMPLES, 0)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return (
        f"accuracy on {len(test)} test images: {right[0].mean():.4f} in float32, "
        f"{right[1].mean():.4f} in int8; loss {losses.mean():.2f} points [{low:.2f}, {high:.2f}], "
        f"95 % by paired bootstrap of near-duplicate clusters"
    )


@contextmanager
def service(environment: dict[str, str], uri: str, folder: Path) -> Iterator[Server]:
    """The deployment with the model `uri`, from a BentoML store of its own, as in a container."""
    folder.mkdir()
    environment = environment | {"BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "true"}
    create = [sys.executable, f"deploy/{DEPLOYMENT}/create_bento_model.py", "--model-uri", uri]
    subprocess.run(create, cwd=ROOT, env=environment, check=True, stdout=sys.stderr)
    port = free_port()
    package = DEPLOYMENT.replace("/", ".")
    command = ["-m", "bentoml", "serve", f"deploy.{package}.service"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, "/readyz", environment, folder / "log") as server:
        yield server


def _empty(environment: dict[str, str], folder: Path) -> float:
    """Seconds until a BentoML service without a model is ready, the median of three starts."""
    seconds = []
    command = ["-m", "bentoml", "serve", "tests.benchmarks.empty_service"]
    command += ["--host", "127.0.0.1", "--port"]
    for _ in range(3):
        port = free_port()
        log = folder / "empty"
        with running([*command, str(port)], port, "/readyz", environment, log) as server:
            seconds.append(server.seconds)
    return float(np.median(seconds))


def main() -> None:
    """Start everything, load it in turns, print the table and the ratios as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model-uri", default="")
    parser.add_argument("--images", type=Path, help="folder that the model's splits name files of")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=32, help="of all clients, in each round")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        if given.model_uri:
            environment, uri = os.environ | {}, given.model_uri
            environment.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
        else:
            environment, uri = trained(folder)
            [given.images] = folder.glob("cache/samples/*")
        onnx, keras, splits, metadata = registered(environment, uri)
        train, test = (splits[splits["split"] == part] for part in ("train", "test"))
        exact = Engine(onnx, cores())
        quantized = folder / "int8.onnx"
        chosen = train.sample(min(CALIBRATION, len(train)), random_state=0)
        quantize(onnx, quantized, read(given.images, chosen["file"], exact.image_size))
        int8_uri = logged_int8(quantized, metadata)

        jpegs = [encoded(frame(number % 4, number), "JPEG") for number in range(16)]
        pixels = _pixels(jpegs, exact.image_size)
        systems = _systems(stack, folder, environment, uri, int8_uri, keras, jpegs, pixels)
        systems.insert(0, System("engine alone, float32", None, engine=exact, pixels=pixels))
        print(_measured(systems, given.rounds, given.requests))
        print(f"- an empty BentoML service is ready in {_empty(environment, folder):.1f} s")
        if given.model_uri:
            print("\n" + accuracy_loss(exact, Engine(quantized, cores()), given.images, test))
        else:
            print("\nNo accuracy: the model was trained for speed alone (--model-uri, --images).")


def _pixels(jpegs: list[bytes], side: int) -> np.ndarray:
    images = [Image.open(io.BytesIO(content)).resize((side, side)) for content in jpegs]
    return np.stack([np.asarray(image) for image in images])


def _systems(
    stack: ExitStack,
    folder: Path,
    environment: dict[str, str],
    uri: str,
    int8_uri: str,
    keras: Path,
    jpegs: list[bytes],
    pixels: np.ndarray,
) -> list[System]:
    exact = stack.enter_context(service(environment, uri, folder / "fp32"))
    rounded = stack.enter_context(service(environment, int8_uri, folder / "int8"))
    port = free_port()
    command = ["-m", "mlflow", "models", "serve", "-m", uri, "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    theirs = stack.enter_context(running(command, port, "/ping", environment, folder / "mlflow"))
    port = free_port()
    command = ["tests/benchmarks/flask_app.py", "--model", str(keras), "--port", str(port)]
    flask = stack.enter_context(running(command, port, "/", environment, folder / "flask"))
    arrays = [json.dumps({"inputs": one[None].tolist()}).encode() for one in pixels]
    texts = [json.dumps({"image": base64.b64encode(one).decode()}).encode() for one in jpegs]
    return [
        System("service, float32", exact, bodies=jpegs),
        System("service, int8", rounded, bodies=jpegs),
        System("mlflow models serve", theirs, "/invocations", "application/json", arrays),
        System("Flask, model.predict", flask, "/predict", "application/json", texts),
    ]


def _measured(systems: list[System], rounds: int, requests: int) -> str:
    for system in systems:
        system.load(1, 3)  # first requests compile and allocate
        system.latencies, system.seconds = {}, {}
    for number in range(rounds):
        for clients in CLIENTS:
            for system in systems:
                print(f"round {number + 1}, {clients} clients: {system.name}", file=sys.stderr)
                system.load(clients, max(1, requests // clients))
    head = ["system", "ready, s", "memory, MB"]
    head += [f"{what}, {n} clients" for n in CLIENTS for what in ("p50 ms", "p99 ms", "images/s")]
    rows = [head, ["---"] * len(head)]
    for system in systems:
        row = [system.name]
        row += [f"{system.server.seconds:.1f}" if system.server else ""]
        row += [f"{system.memory:.0f}" if system.server else ""]
        for n in CLIENTS:
            p50, p99 = 1000 * np.quantile(system.latencies[n], [0.5, 0.99])
            row += [f"{p50:.0f}", f"{p99:.0f}", f"{system.rate(n):.1f}"]
        rows.append(row)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *_ratios(systems)])


def _ratios(systems: list[System]) -> list[str]:
    alone, exact, rounded, theirs, flask = systems
    slower = np.median(exact.latencies[1]) / np.median(alone.latencies[1])
    lines = [f"- p50 at one client: {slower:.2f} times the engine alone"]
    for n in CLIENTS:
        times = {
            "engine alone": exact.rate(n) / alone.rate(n),
            "mlflow models serve": exact.rate(n) / theirs.rate(n),
            "Flask": exact.rate(n) / flask.rate(n),
            "(int8) mlflow models serve": rounded.rate(n) / theirs.rate(n),
            "(int8) Flask": rounded.rate(n) / flask.rate(n),
            "(int8) float32": rounded.rate(n) / exact.rate(n),
        }
        shown = ", ".join(f"{ratio:.2f} x {name}" for name, ratio in times.items())
        lines.append(f"- images/s of the service at {n} clients: {shown}")
    return lines


if __name__ == "__main__":
    main()
