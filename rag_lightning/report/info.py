"""What a report says about the run itself, gathered by whoever ran it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag_lightning.report.knowledge import Knowledge
from rag_lightning.tasks.evaluation import Evaluation


@dataclass(frozen=True)
class CardInfo:
    """What the model card needs beyond the report.

    Attributes:
        snippet: Python that loads the exported folder and uses it.
        pipeline_tag: the Hub's name of the task, such as ``token-classification``.
        base_model: the backbone's id on the Hub; None for a local folder, which the Hub could not link.
        dataset: the data set's id on the Hub, else None.
        language: ISO 639 codes.
        license: as the Hub spells it (``apache-2.0``); None leaves it open.
        tags: further Hub tags.
        limits: sentences on what the model should not be trusted with.
    """

    snippet: str
    pipeline_tag: str | None = None
    base_model: str | None = None
    dataset: str | None = None
    language: tuple[str, ...] = ()
    license: str | None = None
    tags: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunInfo:
    """A run as its report describes it.

    Attributes:
        settings: flat ``key -> value`` of what differs from the defaults.
        split_sizes: examples per split.
        duration_s: seconds of training; None where nothing was trained.
        best_epoch: epoch whose weights were evaluated (fractions where validation runs within an epoch).
        history: the run's ``history.jsonl``; None leaves the curves out.
        usage: (title, shell or Python snippet) for using the run again.
        card: None leaves the model card out.
        knowledge: what the probes say; None: there were none.
    """

    name: str
    task: str
    model: str
    data: str
    command: str
    settings: dict[str, Any]
    fingerprint: str
    seed: int
    versions: dict[str, str]
    n_parameters: int
    n_trainable: int
    split_sizes: dict[str, int]
    duration_s: float | None = None
    best_epoch: float | None = None
    history: Path | None = None
    notes: list[str] = field(default_factory=list)
    usage: list[tuple[str, str]] = field(default_factory=list)
    card: CardInfo | None = None
    knowledge: Knowledge | None = None


def main_evaluation(evaluations: list[Evaluation]) -> Evaluation | None:
    """The evaluation that a run is judged by: of the test split if there is one, else the last."""
    tests = [evaluation for evaluation in evaluations if evaluation.split == "test"]
    ordered = tests or evaluations
    return ordered[-1] if ordered else None


def file_name(stem: str, suffix: str, evaluation: Evaluation, evaluations: list[Evaluation]) -> str:
    """``confusion.png`` for the main evaluation, ``confusion-validation.png`` for the others."""
    return f"{stem}{suffix}" if evaluation is main_evaluation(evaluations) else f"{stem}-{evaluation.split}{suffix}"
