"""What an evaluation holds where each text has any number of labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import hamming_loss, precision_recall_fscore_support

from rag_lightning.data.records import Record
from rag_lightning.metrics.classes import Scores, class_table
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.label_scores import LEVELS_NOTE, MOST_SCORES, at_level, per_label, upper_levels
from rag_lightning.tasks.label_sets import absent_note

_NONE = "–"
_COLUMNS = ("precision", "recall", "f1-score", "support")
Sets = Sequence[Sequence[str]]


def evaluate_label_sets(
    split: str, records: Sequence[Record], predictions: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> Evaluation:
    """Micro and macro F1, subset accuracy, Hamming loss, each label; the same at the upper levels of names.

    Args:
        records: with ``labels``.
        predictions: ``{"labels", "scores"}`` each.
    """
    gold = [record["labels"] for record in records]
    predicted = [prediction["labels"] for prediction in predictions]
    scores = label_set_scores(gold, predicted, labels)
    level_metrics, level_table = _levels(gold, predicted, labels)
    rows = [_row(record, prediction) for record, prediction in zip(records, predictions, strict=True)]
    most = max(set(map(tuple, map(sorted, gold))), key=[tuple(sorted(each)) for each in gold].count)
    constant = overall(gold, [list(most)] * len(gold), labels)
    baseline = Table(
        "Baseline", ("", "micro f1", "macro f1", "subset accuracy"),
        (
            ("the model", *_three(overall(gold, predicted, labels))),
            (f"always the most frequent labels ({', '.join(most) or _NONE})", *_three(constant)),
        ),
    )  # fmt: skip
    tables = (class_table(scores), level_table, baseline)
    return Evaluation(
        split=split,
        metrics={**overall(gold, predicted, labels), **per_label(scores), **level_metrics},
        headline="micro_f1",
        tables=tuple(table for table in tables if table is not None),
        predictions=rows,
        mistakes=_mistakes(rows),
        notes=absent_note(split, [label for each in gold for label in each], labels),
    )


def label_set_scores(gold: Sets, predicted: Sets, labels: Sequence[str]) -> Scores:
    """Precision, recall, F1 and support of each label, with micro and macro averages.

    A label that occurs neither in gold nor in the predictions is left out, also of the macro average.
    """
    seen = {label for each in (*gold, *predicted) for label in each}
    there = [label for label in labels if label in seen]
    if not there:
        return {name: dict.fromkeys(_COLUMNS, 0.0) for name in ("micro avg", "macro avg")}
    matrices = [_matrix(side, there) for side in (gold, predicted)]

    def found(average: str | None) -> Any:
        return precision_recall_fscore_support(*matrices, average=average, zero_division=0)

    rows = list(zip(there, *found(None), strict=True))
    total = sum(map(len, gold))
    rows += [(f"{average} avg", *found(average)[:3], total) for average in ("micro", "macro")]
    return {name: dict(zip(_COLUMNS, map(float, values), strict=True)) for name, *values in rows}


def overall(gold: Sets, predicted: Sets, labels: Sequence[str]) -> dict[str, float]:
    """``micro_f1``, ``macro_f1``, ``subset_accuracy`` (all labels of a text right) and ``hamming_loss``."""
    scores = label_set_scores(gold, predicted, labels)
    right = [set(g) == set(p) for g, p in zip(gold, predicted, strict=True)]
    return {
        "micro_f1": scores["micro avg"]["f1-score"],
        "macro_f1": scores["macro avg"]["f1-score"],
        "subset_accuracy": float(np.mean(right)),
        "hamming_loss": float(hamming_loss(_matrix(gold, labels), _matrix(predicted, labels))),
    }


def _three(metrics: dict[str, float]) -> tuple[float, float, float]:
    return metrics["micro_f1"], metrics["macro_f1"], metrics["subset_accuracy"]


def _matrix(sets: Sets, labels: Sequence[str]) -> np.ndarray:
    """(texts, labels) of 0 and 1."""
    return np.array([[int(label in each) for label in labels] for each in map(set, sets)])


def _levels(gold: Sets, predicted: Sets, labels: Sequence[str]) -> tuple[dict[str, float], Table | None]:
    """Scores of the labels cut to each upper level, as ``level1/micro_f1``, and a table with the last level too."""
    if not (levels := upper_levels(labels)):
        return {}, None
    metrics: dict[str, float] = {}
    rows: list[tuple[str | int | float, ...]] = []
    for level in levels:
        true, said = (
            [sorted({at_level(label, level) for label in each}) for each in side] for side in (gold, predicted)
        )
        names = list(dict.fromkeys(at_level(label, level) for label in labels))
        found = overall(true, said, names)
        metrics |= {f"level{level}/{name}": found[name] for name in ("micro_f1", "macro_f1", "subset_accuracy")}
        rows.append((f"level {level}", len(names), *_three(found)))
    rows.append(("whole name", len(labels), *_three(overall(gold, predicted, labels))))
    return metrics, Table("Levels", ("", "labels", "micro f1", "macro f1", "subset accuracy"), tuple(rows), LEVELS_NOTE)


def _row(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    scores = list(prediction["scores"].items())
    return {
        "id": record["id"],
        "text": record["text"],
        "gold": list(record["labels"]),
        "predicted": prediction["labels"],
        "scores": dict(scores[: max(MOST_SCORES, len(prediction["labels"]))]),
    }


def _mistakes(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The texts with the most wrong and missing labels first."""
    wrong = [(len(set(row["gold"]) ^ set(row["predicted"])), row) for row in rows]
    return [
        {
            "id": row["id"],
            "text": row["text"],
            "gold": ", ".join(row["gold"]) or _NONE,
            "predicted": ", ".join(f"{label} ({row['scores'][label]:.2f})" for label in row["predicted"]) or _NONE,
        }
        for number, row in sorted(wrong, key=lambda each: -each[0])
        if number
    ]
