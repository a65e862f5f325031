"""The model card of a run: logged with its digest, and checked before the model is served."""

import hashlib
from pathlib import Path

import mlflow

from conf.errors import UserError
from conf.redaction import redact
from train.common.evaluation.card import page
from train.common.tracking.files import leave
from train.common.tracking.load import FoldRun, has

CARDS = {"card.md": "card_sha256", "card.html": "card_html_sha256"}
"""The files of a card, and the tags of the run with their sha256; `deploy/importing` reads both."""


def log_card(markdown: str) -> None:
    """Log the card as Markdown and as HTML, without credentials, and their digests."""
    text = redact(markdown)
    for (name, tag), content in zip(CARDS.items(), (text, redact(page(text))), strict=True):
        leave(content, name)
        mlflow.log_text(content, name)
        mlflow.set_tag(tag, hashlib.sha256(content.encode()).hexdigest())


def check_card(run: FoldRun) -> str:
    """Why the `run` has no card; "" if it has. Raises `UserError` for a card that was changed."""
    for name, tag in CARDS.items():
        if tag not in run.tags or not has(run, name):
            return f"and run {run.run_id} logged no model card ({name}): train it again"
        path = mlflow.artifacts.download_artifacts(run_id=run.run_id, artifact_path=name)
        if hashlib.sha256(Path(path).read_bytes()).hexdigest() != run.tags[tag]:
            raise UserError(
                f"{name} of run {run.run_id} was changed after the run logged it: its sha256 is "
                f"not that of the tag {tag}. Train again, or restore the file"
            )
    return ""
