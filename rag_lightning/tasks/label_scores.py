"""What an evaluation holds where each example has one label: shared by the tasks whose answer is that."""

from collections.abc import Callable, Sequence
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.metrics.classes import (
    AVERAGES,
    Scores,
    class_scores,
    class_table,
    confused_pairs,
    confusion_of,
    overall_scores,
)
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.label_sets import absent_note

MOST_SCORES = 5  # labels whose probability predictions.jsonl keeps
LEVEL = "/"  # between the levels of a label's name
Shown = Callable[[Record], dict[str, Any]]  # the fields of an example that predictions.jsonl shows


def evaluate_labels(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    shown: Shown = lambda record: {"text": record["text"]},
) -> Evaluation:
    """Accuracy, macro and weighted F1, Matthews' correlation, each class; the same at the upper levels of names.

    Args:
        records: with ``label``.
        predictions: ``{"label", "confidence", "scores"}`` each.
        shown: what of a record stands in predictions.jsonl.
    """
    gold = [record["label"] for record in records]
    predicted = [prediction["label"] for prediction in predictions]
    scores = class_scores(gold, predicted, labels)
    upper = upper_levels(labels)
    level_metrics, level_table = _levels(gold, predicted, labels, upper)
    tables = (class_table(scores), level_table, confused_pairs(gold, predicted))
    rows = [_row(record, prediction, shown) for record, prediction in zip(records, predictions, strict=True)]
    return Evaluation(
        split=split,
        metrics={**_metrics(gold, predicted, scores), **level_metrics},
        headline="accuracy",
        tables=tuple(table for table in tables if table is not None),
        confusion=confusion_of(gold, predicted, labels),
        predictions=rows,
        mistakes=_mistakes(rows, shown),
        notes=absent_note(split, gold, labels),
    )


def per_label(scores: Scores) -> dict[str, float]:
    """``<label>/precision``, ``/recall`` and ``/f1`` of each label."""
    metrics: dict[str, float] = {}
    for name, row in scores.items():
        if name not in AVERAGES:
            metrics |= {f"{name}/precision": row["precision"], f"{name}/recall": row["recall"]}
            metrics[f"{name}/f1"] = row["f1-score"]
    return metrics


def upper_levels(labels: Sequence[str]) -> list[int]:
    """The levels above the last one at which names such as ``nature/parks`` say less: 1 is the first part alone.

    Empty where no two labels share a part, so that a lone ``Sci/Tech`` makes no hierarchy.
    """
    depth = max((label.count(LEVEL) for label in labels), default=0)
    return [level for level in range(1, depth + 1) if len({at_level(each, level) for each in labels}) < len(labels)]


def at_level(label: str, level: int) -> str:
    """The first ``level`` parts of a label's name."""
    return LEVEL.join(label.split(LEVEL)[:level])


def _levels(
    gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str], levels: Sequence[int]
) -> tuple[dict[str, float], Table | None]:
    """Scores of the labels cut to each upper level, as ``level1/accuracy``, and a table with the last level too."""
    if not levels:
        return {}, None
    metrics: dict[str, float] = {}
    rows: list[tuple[str | int | float, ...]] = []
    for level in (*levels, None):
        true, said = ([each if level is None else at_level(each, level) for each in side] for side in (gold, predicted))
        names = list(dict.fromkeys(each if level is None else at_level(each, level) for each in labels))
        found = overall_scores(true, said, class_scores(true, said, names))
        if level is not None:
            metrics |= {f"level{level}/accuracy": found["accuracy"], f"level{level}/macro_f1": found["macro_f1"]}
        rows.append((_level_name(level), len(names), found["accuracy"], found["macro_f1"]))
    return metrics, Table("Levels", ("", "labels", "accuracy", "macro f1"), tuple(rows), LEVELS_NOTE)


LEVELS_NOTE = f"the part of a label's name before its first, second … '{LEVEL}'"


def _level_name(level: int | None) -> str:
    return "whole name" if level is None else f"level {level}"


def _metrics(gold: Sequence[str], predicted: Sequence[str], scores: Scores) -> dict[str, float]:
    return {**overall_scores(gold, predicted, scores), **per_label(scores)}


def _row(record: Record, prediction: dict[str, Any], shown: Shown) -> dict[str, Any]:
    return {
        "id": record["id"],
        **shown(record),
        "gold": record["label"],
        "predicted": prediction["label"],
        "confidence": prediction["confidence"],
        "scores": dict(list(prediction["scores"].items())[:MOST_SCORES]),
    }


def _mistakes(rows: Sequence[dict[str, Any]], shown: Shown) -> list[dict[str, str]]:
    """The wrong answers, the surest first: these are the most telling, of the model and of the gold labels."""
    wrong = sorted((row for row in rows if row["predicted"] != row["gold"]), key=lambda row: -row["confidence"])
    return [
        {
            "id": row["id"],
            "text": " | ".join(str(value) for value in shown(row).values()),
            "gold": row["gold"],
            "predicted": f"{row['predicted']} ({row['confidence']:.2f})",
        }
        for row in wrong
    ]
