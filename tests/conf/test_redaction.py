"""No credential is printed, logged or written, whatever form it takes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.redaction import SHORTEST, redact
from tests.common import ROOT

SERVER = "postgresql://ana:p%40ss-canary@db/runs"  # pragma: allowlist secret
SHOWN = {
    "postgresql://ana:pa%40ss@db:5432/runs?sslmode=require": (  # pragma: allowlist secret
        "postgresql://***@db:5432/runs?sslmode=require"
    ),
    "http://ghp_token@host/x": "http://***@host/x",
    "http://ana:p@ss@host/x": "http://***@host/x",
    "mysql://ana:p/a?s#s@db/runs": "mysql://***@db/runs",
    "postgresql://db/runs?user=ana&password=canary": "postgresql://db/runs?user=***&password=***",
    "a.zip is https://b.s3.example/a.zip?X-Amz-Signature=c0ffee&X-Amz-Date=2026, or not": (
        "a.zip is https://b.s3.example/a.zip?X-Amz-Signature=***&X-Amz-Date=2026, or not"
    ),
    "'dataset.archives.all.uri=\"https://h/a.zip?token=canary&id=4\"'": (
        "'dataset.archives.all.uri=\"https://h/a.zip?token=***&id=4\"'"
    ),
    "connection failed: host=db password=canary": "connection failed: host=db password=***",
    "one https://a:b@c/d, two https://e:f@g/h": "one https://***@c/d, two https://***@g/h",
}
HARMLESS = [
    "sqlite:///mlflow.db",
    "sqlite:////data/of@all/mlflow.db",
    "models:/resnet50v2ft-kvasir4@champion",
    "http://127.0.0.1:5000/#/models/x@champion",
    "https://drive.google.com/uc?export=download&id=1abc",
    "key: fit.batch_size, seed=3, ana@example.org",
]
SIZE = 200_000
TIMES = 4
"""Of twice the text, at most: linear is 2, quadratic 4 and more, and clocks are coarse."""

GUARDED = """
import logging, os, sys, warnings
from conf.redaction import guard
guard()
logging.basicConfig(filename=sys.argv[1], format="%(message)s")
secret = "p@ss-canary"  # pragma: allowlist secret -- as a driver may show it
log = logging.getLogger("some.library")
log.propagate = True
log.warning("%s is refused", secret)
try:
    raise ValueError(f"no login with {secret}")
except ValueError:
    log.exception("failed")
print("printed", secret)
warnings.warn(f"warned of {secret}")
logging.getLogger("mlflow").info("p%40ss-canary")
raise RuntimeError(f"raised with {os.environ['SERVER']}")
"""


@pytest.mark.parametrize("text", SHOWN)
def test_what_a_text_shows_to_be_secret_is_hidden(text: str) -> None:
    assert redact(text) == SHOWN[text]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_not_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_a_process_says_no_secret_of_its_environment(tmp_path: Path) -> None:
    path = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, str(path)],
        cwd=ROOT,
        env={"SERVER": SERVER, "PATH": ""},
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr + path.read_text()
    assert "canary" not in said
    for part in ("*** is refused", "no login with ***", "printed ***", "warned of ***"):
        assert part in said
    assert "RuntimeError: raised with postgresql://***@db/runs" in done.stderr


@pytest.mark.parametrize("name", ["PASSWORD", "MLFLOW_TRACKING_PASSWORD", "SOME_TOKEN", "API_KEY"])
def test_the_value_of_a_secret_variable_is_hidden_wherever_it_stands(name: str) -> None:
    code = "from conf import redaction as r; r.remember([], os.environ.items())"
    code = f"import os; {code}; print(r.redact('it is canary-7 here'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={name: "canary-7", "PATH": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "it is *** here\n"


@pytest.mark.parametrize(
    "part", ["a", "A+b/", "://", "ab://", "ab://x:", "ab://x?", "a@", "x=", "token=", "://a:b@"]
)
def test_the_cost_is_linear_in_the_length(part: str) -> None:
    def seconds(length: int) -> float:
        text = part * (length // len(part))
        spent = []
        for _ in range(3):
            started = time.process_time()
            redact(text)
            spent.append(time.process_time() - started)
        return min(spent)

    assert seconds(4 * SIZE) <= TIMES * 2 * seconds(SIZE) + 0.05


def test_a_short_secret_is_hidden_where_it_stands_and_not_in_other_words() -> None:
    short = "x" * (SHORTEST - 1)
    code = (
        "from conf.redaction import redact, remember; "
        f"remember(['ab://u:{short}@h']); print(redact('{short} ab://u:{short}@h'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{short} ab://***@h\n"
