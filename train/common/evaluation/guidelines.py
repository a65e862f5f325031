"""What the reporting guidelines CLAIM 2024 and TRIPOD+AI ask for, and where a card answers it.

A run answers what it knows itself. What the dataset says (`dataset.about`) is an answer if it was
stated. The rest is for the people who collected the data or write the study, and is called missing.
Numbers are those of the guidelines [1, 2]; titles are shortened.

1. Tejani et al.: *Checklist for artificial intelligence in medical imaging (CLAIM): 2024 update*,
   Radiology: Artificial Intelligence 6 (2024), e240300.
2. Collins et al.: *TRIPOD+AI statement*, BMJ 385 (2024), e078378.
"""

from collections.abc import Set
from dataclasses import dataclass

COVERED, PARTLY, MISSING = "covered", "partly", "missing"


@dataclass(frozen=True)
class Item:
    """One item of a guideline."""

    number: str
    title: str
    where: str = ""
    """The part of the card, or of the run, that answers it; empty: nothing does."""
    gap: str = ""
    """What is missing, if something is."""
    needs: str = ""
    """The fact without which the answer is missing, such as `about.source`."""

    def state(self, known: Set[str]) -> str:
        """`covered`, `partly` or `missing`, for a run with the facts `known`."""
        if not self.where or (self.needs and self.needs not in known):
            return MISSING
        return PARTLY if self.gap else COVERED

    def said(self, known: Set[str]) -> str:
        """Where it stands, and what is missing."""
        state = self.state(known)
        if state == MISSING and self.where:
            stated = self.needs.startswith("about.")
            return f"**missing**: not {'stated' if stated else 'in this run'} ({self.needs})"
        if state == MISSING:
            return f"**missing**{self.gap and f': {self.gap}'}"
        return f"{self.where}; **missing**: {self.gap}" if self.gap else self.where


REPORT = "the configuration in the report"
PEOPLE = "only who collected the data knows"
SOURCE, USE = "about.source", "about.intended_use"
CLAIM = (
    Item("1", "Identification as a study of AI", "title"),
    Item("2", "Summary of design, methods, results", "summary", "design and conclusions"),
    Item("3", "Background, intended use and role", "Intended use", "clinical background", USE),
    Item("4", "Aims, objectives, hypotheses"),
    Item("5", "Prospective or retrospective", gap=PEOPLE),
    Item("6", "Study goal"),
    Item("7", "Data sources", "Data", needs=SOURCE),
    Item("8", "Inclusion and exclusion criteria", "Data (quarantined)", "those of patients"),
    Item("9", "Data preprocessing", REPORT),
    Item("10", "Selection of data subsets", f"Data; {REPORT}"),
    Item("11", "De-identification", gap=PEOPLE),
    Item("12", "Missing data", "Data (quarantined)", "missing labels and patients"),
    Item("13", "Image acquisition protocol", gap=PEOPLE),
    Item("14", "Definition of the reference standard", gap="only the labels are known"),
    Item("15", "Rationale for the reference standard", gap=PEOPLE),
    Item("16", "Source of the annotations", gap=PEOPLE),
    Item("17", "Annotation of the test set", gap=PEOPLE),
    Item("18", "Inter- and intrarater variability", gap=PEOPLE),
    Item("19", "Assignment to partitions", "Data (split by); `data/splits.csv` of the run"),
    Item("20", "Level at which partitions are disjoint", "Data (split by), leak gate, Limits"),
    Item("21", "Intended sample size"),
    Item("22", "Description of the model", "the documentation of its package, at the revision"),
    Item("23", "Software libraries", "Origin (hash of the lock)"),
    Item("24", "Initialization of parameters", f"Data (backbone weights); {REPORT}"),
    Item("25", "Training approach", REPORT),
    Item("26", "Selection of the final model", f"Data (best epoch); {REPORT}"),
    Item("27", "Ensembling", "Limits, if the model is an ensemble of folds"),
    Item("28", "Metrics of performance", "Metrics on test"),
    Item("29", "Significance and uncertainty", "Metrics on test (intervals)"),
    Item("30", "Robustness or sensitivity", "leak gate in the report", "other devices and places"),
    Item("31", "Explainability", "Grad-CAM and its sanity check in the report", needs="grad_cam"),
    Item("32", "Evaluation on internal data", "Metrics on test"),
    Item("33", "Testing on external data", gap="one dataset"),
    Item("34", "Clinical trial registration", gap="no trial"),
    Item("35", "Patients included and excluded", "Data (images)", "patients without a group"),
    Item("36", "Demographics of each partition", gap=PEOPLE),
    Item("37", "Performance and its uncertainty", "Metrics on test"),
    Item("38", "Diagnostic performance, precision", "Metrics on test (by class), Calibration"),
    Item("39", "Failure analysis", "worst mistakes and confusion matrix in the report"),
    Item("40", "Limitations", "Limits"),
    Item("41", "Implications for practice", "Intended use", "implications", USE),
    Item("42", "Protocol or technical details", "Origin (revision)"),
    Item("43", "Availability of software, model, data", "Origin, Data", needs=SOURCE),
    Item("44", "Funding and role of funders"),
)
"""The 44 items of CLAIM 2024."""
TRIPOD = (
    Item("1", "Title", "title"),
    Item("2", "Abstract", "summary", "the form of TRIPOD+AI for Abstracts"),
    Item("3a", "Background: healthcare context"),
    Item("3b", "Background: population and purpose", "Intended use", "the care pathway", USE),
    Item("3c", "Background: health inequalities"),
    Item("4", "Objectives"),
    Item("5a", "Sources of data", "Data", "representativeness", SOURCE),
    Item("5b", "Dates of the data", gap=PEOPLE),
    Item("6a-c", "Participants: setting, eligibility, treatments", gap=PEOPLE),
    Item("7", "Data preparation", REPORT),
    Item("8a", "Outcome: definition", "Intended use (classes)", "how and when it was assessed"),
    Item("8b-c", "Outcome: assessors, blinding", gap=PEOPLE),
    Item("9a-c", "Predictors", REPORT, "how and when they were measured"),
    Item("10", "Sample size"),
    Item("11", "Missing data", "Data", "reasons"),
    Item("12a", "How the data were used", "Data (split by)"),
    Item("12b-c", "Handling of predictors, type and building of the model", REPORT),
    Item("12d", "Heterogeneity across clusters", "by source in the report", needs="by_source"),
    Item("12e", "Measures and plots of performance", "Metrics on test; figures of the report"),
    Item("12f", "Updating of the model", "Calibration (temperature)", needs="calibration"),
    Item("12g", "How predictions were calculated", "the registered model of the run"),
    Item("13", "Class imbalance", REPORT),
    Item("14", "Fairness"),
    Item("15", "Model output and thresholds", f"Abstention; {REPORT}"),
    Item("16", "Training versus evaluation", "Data (split by): parts of one dataset"),
    Item("17", "Ethical approval", gap=PEOPLE),
    Item("18a-d", "Funding, conflicts of interest, protocol, registration"),
    Item("18e", "Data sharing", "Data (source, licence)", needs=SOURCE),
    Item("18f", "Code sharing", "Origin (revision)"),
    Item("19", "Patient and public involvement"),
    Item("20a", "Flow of participants", "Data (images or rows)", "patients"),
    Item("20b-c", "Characteristics of participants", gap=PEOPLE),
    Item("21", "Numbers in each analysis", "Data; Metrics on test (support)"),
    Item("22", "Model specification", "the registered model of the run"),
    Item("23a", "Performance with intervals", "Metrics on test", "figures by age, sex or origin"),
    Item("23b", "Heterogeneity of performance", "by source in the report", needs="by_source"),
    Item("24", "Results of updating", "Calibration", needs="calibration"),
    Item("25", "Interpretation"),
    Item("26", "Limitations", "Limits"),
    Item("27a", "Poor or unavailable input", "Abstention", needs="abstention"),
    Item("27b-c", "Interaction of users, next steps"),
)
"""The 27 items of TRIPOD+AI; parts with the same answer share a line."""


def count(items: tuple[Item, ...], known: Set[str]) -> str:
    """How many of `items` are covered, in words."""
    states = [item.state(known) for item in items]
    return (
        f"{states.count(COVERED)} of {len(items)} are covered, {states.count(PARTLY)} partly, and "
        f"{states.count(MISSING)} are missing"
    )


def rows(items: tuple[Item, ...], known: Set[str]) -> list[tuple[str, str, str]]:
    """Number and title of each item, and where it stands."""
    return [(item.number, item.title, item.said(known)) for item in items]
