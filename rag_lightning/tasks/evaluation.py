"""What a task's evaluation yields, in a form that reports render without knowing the task."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """A small table; cells are strings, whole numbers, or scores in [0, 1] as floats (shown with 3 decimals)."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Confusion:
    """Counts of gold label (row) against predicted label (column)."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    title: str = "Confusion matrix"


@dataclass(frozen=True)
class Evaluation:
    """Scores, tables and predictions of one split.

    Attributes:
        split: ``validation`` or ``test``.
        metrics: flat name -> number, such as ``f1``, ``PER/f1``, ``token/macro_f1``, ``loss``.
        headline: the key in ``metrics`` that the task is judged by.
        tables: in the order in which they are shown.
        confusion: gold against predicted, where the task has labels.
        predictions: one JSON-ready dict per example, in the order of the data. For NER: id, tokens, gold, predicted,
            confidence (one number a token), entities ([{start, end, type, text, confidence}], token offsets,
            end exclusive), gold_entities.
        mistakes: rows for a table of mispredicted examples: {"id", "text", "gold", "predicted"} (strings).
        notes: sentences that a reader should know (words that got no prediction, repaired tags ...).
    """

    split: str
    metrics: dict[str, float]
    headline: str
    tables: tuple[Table, ...] = ()
    confusion: Confusion | None = None
    predictions: list[dict[str, Any]] = field(default_factory=list)
    mistakes: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
