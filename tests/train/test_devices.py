"""Which devices a training uses, and that two of them train as one: here two halves of a CPU."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conf.errors import UserError
from tests.common import ROOT, configuration
from train.common.fitting import devices
from train.common.fitting.devices import Devices, used

SAME = 1e-5
"""Largest relative difference of losses: two devices add the same numbers in another order."""
ONE_CPU = Devices("CPU", ("/device:CPU:0",))
TESLA_P100 = Devices("GPU", ("/device:GPU:0",), "Tesla P100", 6.0)
TESLA_T4 = Devices("GPU", ("/device:GPU:0",), "Tesla T4", 7.5)
FOUR_A100 = Devices("GPU", tuple(f"/device:GPU:{i}" for i in range(4)), "NVIDIA A100", 8.0)

TRAININGS = """
import json
import sys
from pathlib import Path

import models  # sets TensorFlow's variables
import tensorflow as tf

folder, given = Path(sys.argv[1]), json.loads(sys.argv[2])
cpu = tf.config.list_physical_devices("CPU")[0]
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, halves)

from tests.train.test_fit import Heard, StoppedError, build, configured, toy, train
from train.common.fitting import devices

halves = devices.found()
assert halves.kind == "CPU" and len(halves.names) == 2
splits = toy(folder)
for name, kind, count, overrides in given:
    known = devices.Devices(kind, halves.names[:count], "half a CPU", 9.0)
    devices.found = lambda: known
    settings = configured(folder / name, "model.dropout=0", *overrides)

    def built(config, classes):
        with devices.used(settings.fit).scope():
            return build(config, classes)

    for stop_after in (3, 0) if name.endswith("resumed") else (0,):
        heard = Heard(stop_after)
        try:
            result = train(splits, settings, heard, built)
        except StoppedError:
            continue
    assert ("resumed this run" in heard.lines) == name.endswith("resumed")
    assert type(result.model.weights[0].value).__name__ == "ResourceVariable", "of one device"
    result.history.to_csv(folder / f"{name}.csv", index=False)
"""
UNEVEN = ["fit.cache=none", "fit.class_weights=balanced", "fit.batch_size=14"]
STORED = ["fit.cache=activations", "fit.class_weights=balanced"]
WAYS: list[tuple[str, str, int, list[str]]] = [
    ("pixels-one", "CPU", 1, UNEVEN),
    ("pixels-two", "CPU", 2, UNEVEN),
    ("activations-one", "CPU", 1, STORED),
    ("activations-two", "GPU", 2, STORED),
    ("activations-resumed", "GPU", 2, STORED),
    ("activations-float16", "GPU", 2, [*STORED, "fit.precision=float16"]),
    ("activations-bfloat16", "GPU", 2, [*STORED, "fit.precision=bfloat16"]),
]
"""Name, kind of device, number and settings. TensorFlow draws the mask of dropout for each device,
so there is none. `GPU` are the halves of the CPU as well; it chooses Keras for frozen layers."""


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Losses (epochs, 2) on training and validation of each of `WAYS`.

    The trainings have their own process, since TensorFlow divides a CPU only before its first use.
    """
    folder = tmp_path_factory.mktemp("halves")
    command = [sys.executable, "-c", TRAININGS, str(folder), json.dumps(WAYS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name, *_ in WAYS}
    return {name: table[["loss", "val_loss"]].to_numpy() for name, table in tables.items()}


@pytest.mark.slow
@pytest.mark.parametrize("inputs", ["pixels", "activations"])
def test_two_devices_train_as_one(losses: dict[str, np.ndarray], inputs: str) -> None:
    one, two = losses[f"{inputs}-one"], losses[f"{inputs}-two"]
    assert len(one) == 5
    np.testing.assert_allclose(two, one, rtol=SAME)


@pytest.mark.slow
def test_a_training_on_two_devices_resumes(losses: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(losses["activations-resumed"], losses["activations-two"], rtol=SAME)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "rtol"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_a_gpu_trains_in_16_bits_nearly_as_in_32(
    losses: dict[str, np.ndarray], precision: str, rtol: float
) -> None:
    mixed, exact = losses[f"activations-{precision}"], losses["activations-one"]
    np.testing.assert_allclose(mixed, exact, rtol=rtol)
    assert (mixed != exact).any()


def fit(*overrides: str) -> Any:
    return configuration("+pipeline=train_resnet50v2ft", "fit.precision=float32", *overrides).fit


def test_without_a_gpu_one_cpu_is_used() -> None:
    assert used(fit()) == ONE_CPU and str(ONE_CPU) == "1 x CPU"
    assert used(fit()).batch(8) == 8
    assert used(fit()).validation_batch(5, 32) == 32


@pytest.mark.parametrize(
    ("devices_found", "precision", "message"),
    [
        (ONE_CPU, "float16", "float16 needs a GPU, and TensorFlow sees none.*ACCELERATOR=gpu"),
        (TESLA_T4, "bfloat16", "bfloat16 needs compute capability 8.0, and Tesla T4 has 7.5"),
        (TESLA_P100, "float16", "float16 needs compute capability 7.0, and Tesla P100 has 6.0"),
    ],
)
def test_a_precision_that_the_device_lacks_is_refused(
    devices_found: Devices, precision: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "found", lambda: devices_found)
    with pytest.raises(UserError, match=message):
        used(fit(f"fit.precision={precision}"))


def test_several_gpus_divide_the_batch_and_float16_takes_one_of_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "found", lambda: FOUR_A100)
    assert used(fit("fit.precision=bfloat16")) == FOUR_A100
    assert str(FOUR_A100) == "4 x GPU (NVIDIA A100, compute capability 8.0)"
    assert FOUR_A100.batch(8) == 256
    with pytest.raises(UserError, match=r"fit\.batch_size=30 cannot be divided among 4 .*=32"):
        used(fit("fit.batch_size=30"))
    assert used(fit("fit.precision=float16")).names == ("/device:GPU:0",)
    assert "trains on one GPU of 4; bfloat16 and float32 use all" in caplog.text


@pytest.mark.parametrize("rows", [1000, 257, 511, 100, 31])
def test_no_gpu_is_left_without_images_of_validation(rows: int) -> None:
    size = FOUR_A100.validation_batch(rows, 32)
    assert size % 4 == 0 and 0 < size <= min(rows, 256)
    for batch in filter(None, [size, rows % size]):
        part = -(-batch // 4)  # as Keras divides
        assert batch - 3 * part > 0


def test_too_few_images_for_the_gpus_are_refused() -> None:
    with pytest.raises(UserError, match=r"5 validation images .* 4 devices.*CUDA_VISIBLE_DEVICES"):
        FOUR_A100.validation_batch(5, 32)


def test_tensorflow_takes_memory_of_a_gpu_as_it_needs_it() -> None:
    script = (
        "import os, models; print(*(os.environ[n] for n in "
        "('TF_FORCE_GPU_ALLOW_GROWTH', 'NVIDIA_TF32_OVERRIDE')))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["true", "0"]
