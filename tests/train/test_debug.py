"""`+debug=fast` goes the whole way of every training: a finished run, a model, a report."""

import re
from pathlib import Path

import mlflow
import pytest

from tests.common import composed, pipelines
from tests.train.conftest import finish, start
from tests.train.test_end_to_end import OTHERS

pytestmark = pytest.mark.slow

TABLES = pipelines(task="train", recipe="table_training")
LEFT = [name for name in pipelines(task="train") if name not in OTHERS]
"""Those whose whole way is not tried there."""


@pytest.mark.parametrize("pipeline", LEFT)
def test_debugging_fast_goes_the_whole_way(pipeline: str, server: str, tmp_path: Path) -> None:
    command = [f"+pipeline={pipeline}", "+debug=fast", "env=development"]
    few = ["fit.workers=1"] if pipeline in TABLES else []
    status, output = finish(start(server, tmp_path, *command, *few))
    assert status == 0, output
    started = re.search(r"MLflow run (\w+) of experiment", output)
    assert started, output
    client = mlflow.MlflowClient(server)
    run = client.get_run(started[1])
    assert run.info.status == "FINISHED"
    config = composed(*command)
    name = f"{config.model.name}-{config.dataset.name}"
    assert client.get_model_version_by_alias(name, "challenger").run_id == run.info.run_id
    assert (tmp_path / "outputs" / "report.html").is_file()
    assert not (tmp_path / "cache" / "activations").exists()
    if "transform" in config:
        assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [1, 2]
