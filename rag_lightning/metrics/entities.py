"""Entity-level scores: an entity counts only if its type and both ends are right."""

from collections.abc import Sequence
from typing import Any

from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from rag_lightning.tasks.evaluation import Table

AVERAGES = ("micro avg", "macro avg", "weighted avg")


def entity_scores(gold: Sequence[list[str]], predicted: Sequence[list[str]]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support per entity type and averaged, strict IOB2 by seqeval.

    seqeval's lenient default counts an ``I-`` that follows nothing as an entity; strict does not.

    Returns:
        type or average -> {"precision", "recall", "f1-score", "support"}; empty if there is no entity at all.
    """
    if not any(tag != "O" for tags in (*gold, *predicted) for tag in tags):
        return {}
    report: dict[str, Any] = classification_report(
        list(gold), list(predicted), mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    return {name: {key: float(value) for key, value in row.items()} for name, row in report.items()}


def score_table(title: str, scores: dict[str, dict[str, float]], note: str = "") -> Table:
    """The usual table of such scores, averages last."""
    order = [name for name in scores if name not in AVERAGES] + [name for name in AVERAGES if name in scores]
    rows = tuple(_row(name, scores[name]) for name in order)
    return Table(title, ("", "precision", "recall", "f1", "support"), rows, note)


def _row(name: str, scores: dict[str, float]) -> tuple[str | int | float, ...]:
    return name, scores["precision"], scores["recall"], scores["f1-score"], int(scores["support"])
