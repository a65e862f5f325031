"""What the configuration computes by itself."""

from pathlib import Path

import pytest

from conf.schema import native_precision
from tests.common import composed


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("sse2 avx2 avx512f avx512_bf16", "bfloat16"),
        ("avx512f amx_bf16 amx_tile", "bfloat16"),
        ("sse2 avx2 avx512f", "float32"),
    ],
)
def test_bfloat16_is_for_cpus_that_multiply_it(flags: str, precision: str, tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert native_precision(facts, tmp_path / "no gpus") == precision
    assert native_precision(tmp_path / "of another system") == "float32"


def test_float16_is_for_gpus_that_the_environment_can_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, gpus = tmp_path / "cpuinfo", tmp_path / "gpus"
    facts.write_text("flags: avx2\n")
    (gpus / "0000:01:00.0").mkdir(parents=True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert native_precision(facts, gpus) == "float32"  # set up for a CPU
    (tmp_path / "site" / "nvidia" / "cudnn").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert native_precision(facts, gpus) == "float16"
    assert native_precision(facts, tmp_path / "no driver") == "float32"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert native_precision(facts, gpus) == "float32"


def test_a_run_knows_its_precision_by_name() -> None:
    config = composed("+pipeline=train_resnet50v2ft")
    assert config.fit.precision.name == native_precision()


def test_openvino_agrees_that_this_cpu_has_bfloat16() -> None:
    import openvino

    if native_precision() == "float32":
        pytest.skip("this CPU has no bfloat16")
    assert "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
