"""Build, verify and report a set of images: `python -m datasets +pipeline=dataset_<name>`."""

from omegaconf import DictConfig

from train.common.data.pixels import decode
from train.common.data.types import Report, Samples
from train.common.evaluation import words
from train.common.tracking.log import log_report, tracked
from train.jobs import pictures
from train.jobs.common import contact_sheets, counts, facts, named, verified


@tracked
def run(config: DictConfig) -> Samples:
    """The verified images, after their counts, what was set aside and their pictures are logged."""
    samples = decode(verified(config), config)
    counted = counts(samples)
    report = Report(
        scalars={
            "images": len(samples.table),
            "quarantined": len(samples.quarantined),
            "duplicates": len(samples.duplicates),
        },
        tables={
            "class_balance": counted,
            "quarantined": samples.quarantined,
            "duplicates_across_splits": samples.duplicates,
        },
        figures={
            "class_balance": pictures.balance(counts(named(samples, config))),
            **contact_sheets(samples, config.sheet, config.seed),
        },
        facts=facts(samples, config),
        notes=words.drawn(config),
        summary=[
            words.balance(counted, "images", words.titles(config.dataset)),
            f"{len(samples.quarantined)} files cannot be used and were set aside.",
        ],
    )
    log_report(report, config)
    return samples
