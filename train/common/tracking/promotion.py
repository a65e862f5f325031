"""Which version may become champion: the rules, and the evidence.

`deploy/promote.py` calls this, and a training whose `env.promotion` is `automatic` does at its end:
one rule, one code. It stands in training because the evidence is made of what trainings log.
`champions` moves the alias.
"""

import logging

import mlflow

from conf.errors import UserError
from conf.schema import Metrics, Promotion, PromotionRule
from train.common.evaluation.evidence import Evidence, NotShown, Tested, compared
from train.common.tracking.cards import check_card
from train.common.tracking.champions import NOT_PROMOTED, champion, move, versions
from train.common.tracking.load import FoldRun, fetch_config, fetch_table, has

log = logging.getLogger(__name__)

PREDICTIONS, SPLITS = "tables/predictions.csv", "data/splits.csv"
ALLOWED = (Promotion.allowed.name, Promotion.automatic.name)


def promote(name: str, version: str, force_because: str | None = None) -> str:
    """Make `version` of `name` the champion; the text that says what it replaced, and why.

    Raises `NotShown` if the run may not become champion or the evidence does not speak for it,
    unless `force_because` gives a reason; `UserError` for what no reason overrides: a version that
    does not exist, of a run that has not finished, or with names of classes that are not those of
    its predictions.
    """
    if force_because is not None and not force_because.strip():
        raise UserError("the reason is empty: say why, it stays with the version")
    client = mlflow.MlflowClient()
    known = versions(name)
    if version not in known:
        registered = ", ".join(sorted(m.name for m in client.search_registered_models()))
        there = f"there is {', '.join(sorted(known, key=int))}" if known else "there is none"
        raise UserError(
            f"{name} has no version {version!r}; {there} (registered: {registered or 'no model'})"
        )
    info = mlflow.models.get_model_info(f"models:/{name}/{version}")
    # The run that logged the model, and the one that registered it, which may be another.
    runs = [client.get_run(each) for each in sorted({info.run_id, known[version] or info.run_id})]
    for run in runs:
        if run.info.status != "FINISHED":
            raise UserError(
                f"version {version} of {name} comes from run {run.info.run_id}, which is "
                f"{run.info.status}: only a model of a finished run can be the champion"
            )
    before = champion(name)
    if before == version:
        return f"{name} version {version} is the champion already"
    logged = client.get_run(info.run_id)
    without_card = check_card(FoldRun(info.run_id, logged.data.tags))
    evidence: Evidence | None = None
    try:
        for run in runs:
            _check_allowed(run.data.tags)
        if without_card:
            raise NotShown(without_card)
        evidence = evidence_of(name, version, before)
        if not evidence.passed:
            raise NotShown(
                f"which may be worse than the champion by more than promotion.margin: "
                f"{evidence.sentence()}. Train a better one, or test both on more samples"
            )
    except NotShown as reason:
        if force_because is None:
            raise NotShown(
                f"version {version} of {name} comes from run {info.run_id}, {reason}; or say why "
                "it is to be served all the same, which is kept: "
                f'make promote MODEL={name} VERSION={version} FORCE="reason"'
            ) from None
    if evidence is None:
        evidence = _known(name, version, before)
    how, because = _reason(evidence, force_because)
    move(name, version, how, because, evidence)
    replaced = f"it replaces version {before}" if before else "there was none before"
    return f"{name} version {version} is the champion now; {replaced}; {because}"


def after_training(run_id: str) -> None:
    """Promote the version that the finished run registered, if the evidence speaks for it.

    If not, it stays challenger: the reason is logged, and stored with it as the tag
    `not_promoted_because`. Nothing is raised, because the training has succeeded.
    """
    try:
        client = mlflow.MlflowClient()
        for found in client.search_model_versions(f"run_id='{run_id}'"):
            try:
                log.info(promote(found.name, str(found.version)))
            except UserError as error:
                log.warning("it stays challenger: %s", error)
                client.set_model_version_tag(
                    found.name, str(found.version), NOT_PROMOTED, str(error)
                )
    except Exception as error:  # the server may be gone; the run is finished and logged
        log.error("run %s is finished, and its promotion failed: %s", run_id, error)


def evidence_of(name: str, version: str, before: str) -> Evidence:
    """The evidence for `version` of `name`, compared with the champion `before`, "" for none.

    Margin, level and resamples are those of the settings of its run. Raises `NotShown` if there is
    no evidence.
    """
    challenger, tested = _tested(name, version)
    settings = fetch_config(challenger)
    rule = Metrics(
        bootstrap=int(settings.metrics.bootstrap), confidence=float(settings.metrics.confidence)
    )
    digest = challenger.tags.get("data_digest", "unknown")
    values = mlflow.MlflowClient().get_run(challenger.run_id).data.metrics
    alone = Evidence(
        compared_with=before,
        samples=len(tested.samples),
        groups=len(set(tested.groups)),
        data_digest=digest,
        accuracy=float((tested.probabilities.argmax(axis=1) == tested.labels).mean()),
        low=values.get("test_accuracy_low"),
        high=values.get("test_accuracy_high"),
        confidence=rule.confidence,
    )
    if int(challenger.tags.get("started_from_seen_test", 0)):
        raise NotShown(
            "which started from a model that saw "
            f"{challenger.tags['started_from_seen_test']} of its test images in training: its "
            "accuracy is too high. Start it from imagenet, or from a model of the same split"
        )
    if not before:
        return alone
    try:
        reference, theirs = _tested(name, before)
    except UserError as error:  # a reason may replace even a champion that is wrong in itself
        raise NotShown(f"and {error}" if not isinstance(error, NotShown) else str(error)) from None
    if reference.tags.get("data_digest") != digest:
        raise NotShown(
            f"which was trained on other data (digest {digest[:16]}) than the champion, version "
            f"{before} ({reference.tags.get('data_digest', 'unknown')[:16]}). Train one of them "
            "again on the data of the other"
        )
    margin = settings.get("promotion", {}).get("margin", PromotionRule().margin)
    return compared(theirs, tested, alone, rule, float(margin), int(settings.seed))


def _check_allowed(tags: dict[str, str]) -> None:
    """Raise `NotShown` if a run with these `tags` may not become champion."""
    if tags.get("env") == "development":
        raise NotShown(
            "which is one of env=development: small limits, no evidence. Train it with "
            "env=production"
        )
    given = tags.get("promotion")
    if given is None:
        raise NotShown(
            "which has no tag 'promotion': it does not say whether it may be served. Train it with "
            "env=production"
        )
    if given not in ALLOWED:
        raise NotShown(f"whose env.promotion was {given}. Train it with env.promotion=allowed")
    if tags.get("gate") == "failed":
        raise NotShown(
            "whose leak gate failed: the table gate of its report names the checks. Correct what "
            "they name, and train again"
        )
    if tags.get("gate") == "off":
        raise NotShown("whose leak gate was off (gate.enabled=false). Train it with the gate")


def _tested(name: str, version: str) -> tuple[FoldRun, Tested]:
    """The run of a version, and its predictions. Raises `NotShown` if it logged none."""
    info = mlflow.models.get_model_info(f"models:/{name}/{version}")
    run = FoldRun(info.run_id, mlflow.MlflowClient().get_run(info.run_id).data.tags)
    if "fold_0" in run.tags:
        raise NotShown(
            f"and version {version} is the ensemble of folds: no image is left to test it, so it "
            "has no evidence of its own"
        )
    for artifact in (PREDICTIONS, SPLITS):
        if not has(run, artifact):
            raise NotShown(
                f"and run {run.run_id} of version {version} logged no {artifact}: there are no "
                "predictions of the same samples to compare. Train again both versions that are "
                "compared"
            )
    classes = tuple((info.metadata or {}).get("classes", ()))
    try:
        return run, Tested.of(fetch_table(run, PREDICTIONS), fetch_table(run, SPLITS), classes)
    except UserError as error:
        raise UserError(f"version {version} of {name} is wrong in itself: {error}") from None


def _known(name: str, version: str, before: str) -> Evidence | None:
    """What is known of a version that is forced, if anything."""
    try:
        return evidence_of(name, version, before)
    except NotShown:
        return None


def _reason(evidence: Evidence | None, force_because: str | None) -> tuple[str, str]:
    """How a version becomes champion, in a word and in a sentence."""
    if force_because is not None:
        return "forced", f"forced: {force_because.strip()}"
    assert evidence is not None
    if evidence.difference is None:
        said = f"the first champion, on the evidence of its own run: {evidence.sentence()}"
        return "first", said
    return "evidence", evidence.sentence()
