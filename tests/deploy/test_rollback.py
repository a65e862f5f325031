"""The way back to an earlier champion, and runs that promote their own version."""

import getpass
import json
import os
import socket
from pathlib import Path

import mlflow

from deploy import promote as script
from tests.deploy.registry import MODEL, PRODUCTION, add_version, champion, make, predicted, tags
from train.common.tracking.promotion import after_training


def test_a_rollback_goes_back_one_champion_at_a_time(shop: str, tmp_path: Path) -> None:
    for version, wrong in (("2", 20), ("3", 4)):
        add_version(shop, MODEL, tmp_path / version, PRODUCTION, predicted(wrong))
        script.promote(MODEL, version)
    done = make(shop, "rollback", "REASON=wrong on new scanners")
    assert done.returncode == 0, done.stderr
    version, known = champion(shop)
    assert version == "2"
    assert known["promoted_how"] == "rollback"
    assert known["promoted_because"] == "rolled back from version 3: wrong on new scanners"
    assert json.loads(known["evidence"])["compared_with"] == "1"
    left = tags(shop, "3")
    assert left["rolled_back_because"] == "wrong on new scanners"
    assert left["rolled_back_by"] == f"{getpass.getuser()}@{socket.gethostname()}"
    script.rollback(MODEL, "")
    assert champion(shop)[0] == "1"
    done = make(shop, "rollback")
    assert done.returncode != 0
    assert "version 1 of resnet50v2ft-kvasir4 is the first champion that is known" in done.stderr


def test_a_rollback_follows_an_alias_that_was_moved_by_hand(shop: str, tmp_path: Path) -> None:
    add_version(shop, MODEL, tmp_path / "2", PRODUCTION, predicted(4))
    mlflow.MlflowClient(shop).set_registered_model_alias(MODEL, "champion", "2")
    script.rollback(MODEL, "")
    assert champion(shop)[0] == "1"


def test_a_run_promotes_its_own_version_or_says_why_not(shop: str, tmp_path: Path) -> None:
    client = mlflow.MlflowClient(shop)
    automatic = PRODUCTION | {"promotion": "automatic"}
    for version, wrong in (("2", 80), ("3", 4)):
        add_version(shop, MODEL, tmp_path / version, automatic, predicted(wrong))
        after_training(client.get_model_version(MODEL, version).run_id)
    assert "may be worse" in tags(shop, "2")["not_promoted_because"]
    assert champion(shop)[0] == "3"
    after_training("a run that registered nothing")
    mlflow.set_tracking_uri("http://127.0.0.1:1")
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        after_training("and one whose server is gone")
    finally:
        del os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
