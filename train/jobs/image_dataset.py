"""Build, verify and report a set of images: `python -m datasets +pipeline=dataset_<name>`."""

from omegaconf import DictConfig

from conf.schema import ImageDatasetJob, typed
from train.common.data.types import DecodedImages, Report
from train.common.evaluation import words
from train.common.tracking.log import tracked_run
from train.jobs import pictures
from train.jobs.common import contact_sheets, counts, decoded, facts, named


def job(config: DictConfig) -> DecodedImages:
    """The verified images; logs their counts, quarantined files and contact sheets."""
    settings = typed(config, ImageDatasetJob)
    with tracked_run(settings) as run:
        images = decoded(settings, run)
        counted = counts(images)
        report = Report(
            scalars={
                "images": len(images.frame),
                "quarantined": len(images.quarantined),
                "duplicates": len(images.duplicates),
            },
            tables={
                "class_balance": counted,
                "quarantined": images.quarantined,
                "duplicates_across_splits": images.duplicates,
            },
            figures={
                "class_balance": pictures.balance(counts(named(images, settings))),
                **contact_sheets(images, settings.sheet, settings.seed),
            },
            facts=facts(images, settings),
            notes=words.drawn(settings.dataset),
            summary=[
                words.balance(counted, "images", words.titles(settings.dataset)),
                f"{len(images.quarantined)} files cannot be used and were quarantined.",
            ],
        )
        run.log_report(report)
        return images
