"""Who may become champion: what a run may, what it is shown to be, or what somebody answers for."""

import getpass
import json
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy import promote as script
from deploy.importing.connection import NotServable
from deploy.importing.promotion import promotion_of
from deploy.importing.registry import find
from deploy.importing.store import import_model
from tests.common import new_store
from tests.deploy import registry
from tests.deploy.registry import MODEL, PRODUCTION, add_version, predicted
from train.common.evaluation.evidence import NotShown

NOT_ALLOWED = {
    "1": ({"env": "development", "promotion": "refused"}, "is one of env=development"),
    "2": ({"env": "development", "promotion": "allowed"}, "is one of env=development"),
    "3": ({"env": "production", "promotion": "refused"}, "whose env.promotion was refused"),
    "4": ({"env": "production"}, "has no tag 'promotion'"),
    "5": ({}, "has no tag 'promotion'"),
    "6": (PRODUCTION | {"gate": "failed"}, "whose leak gate failed: the table gate of its report"),
    "7": (PRODUCTION, "logged no tables/predictions.csv"),
    "8": (PRODUCTION | {"gate": "off"}, "whose leak gate was off"),
}
"""Tags of the run of each version, and why it is refused; none logged predictions."""


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("registry")
    address = new_store(folder)
    for version, (tags, _) in NOT_ALLOWED.items():
        assert add_version(address, MODEL, folder / version, tags) == version
    return address


def promote(uri: str, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The finished `make promote`; it leaves the environment as it is."""
    return registry.make(uri, "promote", f"VERSION={version}", *arguments)


def champion(uri: str) -> tuple[str, dict[str, str]]:
    return registry.champion(uri)


@pytest.mark.parametrize("version", NOT_ALLOWED)
def test_a_version_that_may_not_be_served_is_refused_with_the_way_out(
    uri: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = champion(uri)
    with registry.looked_up_at(uri), pytest.raises(NotShown) as refused:
        script.promote(MODEL, version)
    assert NOT_ALLOWED[version][1] in str(refused.value)
    assert f'make promote MODEL={MODEL} VERSION={version} FORCE="reason"' in str(refused.value)
    assert champion(uri) == before


def test_make_promote_ends_with_the_reason_of_a_refusal(uri: str) -> None:
    before = champion(uri)
    done = promote(uri, "1")
    assert done.returncode != 0
    assert "is one of env=development" in done.stderr
    assert "Traceback" not in done.stderr
    assert champion(uri) == before


@pytest.mark.parametrize("empty", ["FORCE=", "FORCE=  "])
def test_force_without_a_reason_is_refused(uri: str, empty: str) -> None:
    before = champion(uri)
    done = promote(uri, "1", empty)
    assert done.returncode != 0
    assert "the reason is empty" in done.stderr
    assert champion(uri) == before


def test_who_promoted_when_and_why_stays_with_the_version(uri: str) -> None:
    done = promote(uri, "1", """FORCE=shown in class, "as it is", of $$USER's own""")
    assert done.returncode == 0, done.stderr
    assert "there was none before" in done.stdout
    version, tags = champion(uri)
    assert version == "1"
    assert tags["promoted_how"] == "forced"
    assert tags["promoted_by"] == f"{getpass.getuser()}@{socket.gethostname()}"
    assert tags["promoted_because"] == """forced: shown in class, "as it is", of $USER's own"""
    told = datetime.fromisoformat(tags["promoted_at"])
    assert abs((datetime.now(UTC) - told).total_seconds()) < 600


def test_a_reason_does_not_make_an_unfinished_run_finished(uri: str, tmp_path: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(uri)
    unfinished = client.create_run(client.create_experiment(tmp_path.name))
    source = client.get_model_version(MODEL, "1").source
    with registry.looked_up_at(uri):
        made = client.create_model_version(MODEL, source, unfinished.info.run_id)
    done = promote(uri, str(made.version), "FORCE=in a hurry")
    assert done.returncode != 0
    assert "which is RUNNING" in done.stderr


def test_a_better_version_moves_with_its_evidence(shop: str, tmp_path: Path) -> None:
    # Right for 30 of the 40 that the champion misses, wrong for 4 that it does not.
    add_version(shop, MODEL, tmp_path / "2", PRODUCTION, predicted(14, 30))
    assert "it replaces version 1; accuracy +6.5 points" in script.promote(MODEL, "2")
    version, tags = champion(shop)
    known = json.loads(tags["evidence"])
    assert (version, tags["promoted_how"]) == ("2", "evidence")
    assert (known["compared_with"], known["samples"], known["passed"]) == ("1", 400, True)
    assert (known["only_champion_right"], known["only_challenger_right"]) == (4, 30)
    assert known["mcnemar_p"] < 0.001
    assert known["difference"] == pytest.approx(0.065)
    assert 0 < known["low"] < known["difference"] < known["high"]
    assert known["data_digest"] == PRODUCTION["data_digest"]


def test_what_is_imported_knows_how_it_was_promoted(shop: str, tmp_path: Path) -> None:
    add_version(shop, MODEL, tmp_path / "2", PRODUCTION | {"lock_sha256": "f" * 64}, predicted(4))
    assert find(f"models:/{MODEL}/2", MODEL).promotion == {"how": "none"}
    script.promote(MODEL, "2")
    source = find(f"models:/{MODEL}@champion", MODEL)
    assert source.labels["lock_sha256"] == "f" * 64
    assert source.promotion["how"] == "evidence"
    assert source.promotion["evidence"]["only_challenger_right"] == 36
    assert getpass.getuser() + "@" not in json.dumps(source.promotion)
    script.rollback(MODEL, "wrong on new scanners")
    assert find(f"models:/{MODEL}@champion", MODEL).promotion["how"] == "rollback"
    left = find(f"models:/{MODEL}/2", MODEL).promotion
    assert (left["how"], left["because"]) == ("rolled_back", "wrong on new scanners")


def test_tags_of_older_revisions_are_read() -> None:
    when = {"promoted_at": "2026-10-01T10:00:00+00:00"}
    given = when | {"promoted_because": "forced: shown in class"}
    assert promotion_of(given)["how"] == "forced"
    assert promotion_of(given)["because"] == "shown in class"
    allowed = when | {"promoted_because": "env.promotion of its run allows it"}
    assert promotion_of(allowed)["how"] == "allowed"


def test_the_margin_decides_over_a_version_that_is_about_as_good(shop: str, tmp_path: Path) -> None:
    alike = predicted(40, 2)  # two mistakes less, two others
    add_version(shop, MODEL, tmp_path / "2", PRODUCTION, alike, promotion={"margin": 0.0})
    with pytest.raises(NotShown, match="may be worse than the champion by more than promotion"):
        script.promote(MODEL, "2")
    add_version(shop, MODEL, tmp_path / "3", PRODUCTION, alike, promotion={"margin": 0.05})
    script.promote(MODEL, "3")
    assert champion(shop)[0] == "3"


REFUSED = {
    "a worse model": (PRODUCTION, predicted(60), "may be worse than the champion"),
    "one of other data": (
        PRODUCTION | {"data_digest": "e" * 64},
        predicted(0),
        "was trained on other data (digest eeeeeeeeeeeeeeee) than the champion, version 1",
    ),
    "one of another split": (
        PRODUCTION,
        predicted(0).head(300),
        "whose test samples are not those of the champion, version 1: 300 and 400",
    ),
    "an ensemble of folds": (
        PRODUCTION | {"fold_0": "a run"},
        predicted(0),
        "version 2 is the ensemble of folds: no image is left to test it",
    ),
    "one whose gate failed": (
        PRODUCTION | {"gate": "failed"},
        predicted(0),
        "whose leak gate failed",
    ),
    "one that has seen the test images": (
        PRODUCTION | {"started_from_seen_test": "7"},
        predicted(0),
        "saw 7 of its test images in training",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_gate_refuses(shop: str, tmp_path: Path, what: str) -> None:
    tags, predictions, message = REFUSED[what]
    add_version(shop, MODEL, tmp_path / "2", tags, predictions)
    with pytest.raises(NotShown) as refused:
        script.promote(MODEL, "2")
    assert message in str(refused.value)
    assert champion(shop)[0] == "1"
    script.promote(MODEL, "2", "the first one gives wrong answers on new scanners")
    version, tags = champion(shop)
    assert version == "2"
    known = json.loads(tags.get("evidence", "null"))
    assert known is None or known["passed"] == (what == "one whose gate failed")


def test_a_version_without_a_card_needs_a_reason(shop: str, tmp_path: Path) -> None:
    add_version(shop, MODEL, tmp_path / "2", PRODUCTION, predicted(0), card=None)
    with pytest.raises(NotShown, match=r"logged no model card \(card.md\): train it again"):
        script.promote(MODEL, "2")
    script.promote(MODEL, "2", "of an older revision")
    assert champion(shop)[0] == "2"


@pytest.mark.parametrize("name", ["card.md", "card.html"])
def test_a_card_that_was_changed_is_neither_promoted_nor_imported(
    shop: str, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    add_version(shop, MODEL, tmp_path / "2", PRODUCTION, predicted(0))
    client = mlflow.MlflowClient(shop)
    run = client.get_model_version(MODEL, "2").run_id
    client.log_text(run, "# A card that promises more\n", name)
    for reason in (None, "in a hurry"):
        with pytest.raises(script.UserError, match=f"{name} of run .* was changed after the run"):
            script.promote(MODEL, "2", reason)
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    with pytest.raises(NotServable, match=f"{name}, the model card of run .*, was changed"):
        import_model(find(f"models:/{MODEL}/2", MODEL), MODEL)


def test_the_order_of_the_classes_is_part_of_the_model(shop: str, tmp_path: Path) -> None:
    swapped = ("b", "a")
    add_version(shop, MODEL, tmp_path / "2", PRODUCTION, predicted(0), classes=swapped)
    for reason in (None, "in a hurry"):  # no reason makes wrong names right
        with pytest.raises(script.UserError, match="every answer of the service would carry a wro"):
            script.promote(MODEL, "2", reason)
    other = predicted(0, classes=swapped)
    add_version(shop, MODEL, tmp_path / "3", PRODUCTION, other, classes=swapped)
    with pytest.raises(NotShown, match="whose classes are b, a, where those of the champion"):
        script.promote(MODEL, "3")
