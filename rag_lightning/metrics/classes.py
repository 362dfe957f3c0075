"""Scores of one label per text, and tables that stay readable with two classes and with a hundred."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sklearn.metrics import accuracy_score, confusion_matrix, matthews_corrcoef, precision_recall_fscore_support

from rag_lightning.metrics.entities import AVERAGES, score_table
from rag_lightning.tasks.evaluation import Confusion, Table

MOST_ROWS = 24  # classes in a table; of more the weakest are shown
_WEAKEST, _PAIRS = 15, 10
_COLUMNS = ("precision", "recall", "f1-score", "support")
Scores = dict[str, dict[str, float]]


def class_scores(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Scores:
    """Precision, recall, F1 and support of each class, with macro and weighted averages.

    A class that occurs neither in gold nor in the predictions is left out, also of the averages.

    Returns:
        class or average -> {"precision", "recall", "f1-score", "support"}.
    """
    seen = {*gold, *predicted}
    there = [label for label in labels if label in seen]

    def scores(average: str | None) -> Any:
        return precision_recall_fscore_support(
            list(gold), list(predicted), labels=there, average=average, zero_division=0
        )

    # Not classification_report, in which a class named "accuracy" would be overwritten.
    rows = list(zip(there, *scores(None), strict=True))
    rows += [(f"{average} avg", *scores(average)[:3], len(gold)) for average in ("macro", "weighted")]
    return {name: dict(zip(_COLUMNS, map(float, values), strict=True)) for name, *values in rows}


def overall_scores(gold: Sequence[str], predicted: Sequence[str], scores: Scores) -> dict[str, float]:
    """Accuracy, macro and weighted F1, and Matthews' correlation coefficient for any number of classes
    (Gorodkin 2004), which is 0 for guessing and for a single class."""
    one = len({*gold, *predicted}) == 1  # scikit-learn warns then
    return {
        "accuracy": float(accuracy_score(list(gold), list(predicted))),
        "macro_f1": scores["macro avg"]["f1-score"],
        "weighted_f1": scores["weighted avg"]["f1-score"],
        "mcc": 0.0 if one else float(matthews_corrcoef(list(gold), list(predicted))),
    }


def class_table(scores: Scores) -> Table:
    """The usual table; of very many classes the weakest ones, lowest F1 first."""
    classes = {name: row for name, row in scores.items() if name not in AVERAGES}
    averages = {name: scores[name] for name in AVERAGES if name in scores}
    if len(classes) <= MOST_ROWS:
        return score_table("Classes", scores)
    order = sorted(classes, key=lambda name: (classes[name]["f1-score"], -classes[name]["support"], name))
    weakest = {name: classes[name] for name in order[:_WEAKEST]}
    note = f"the {_WEAKEST} of {len(classes)} classes with the lowest F1; metrics.json has all"
    return score_table("Weakest classes", {**weakest, **averages}, note)


def confusion_of(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Confusion:
    """How often each class (row) was predicted as each class (column)."""
    counts = confusion_matrix(list(gold), list(predicted), labels=list(labels))
    rows = tuple(tuple(int(number) for number in row) for row in counts)
    return Confusion(tuple(labels), rows, "Classes, gold × predicted")


def confused_pairs(gold: Sequence[str], predicted: Sequence[str]) -> Table | None:
    """Which class was most often taken for which; None where none was."""
    pairs = Counter((g, p) for g, p in zip(gold, predicted, strict=True) if g != p)
    if not pairs:
        return None
    support = Counter(gold)
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:_PAIRS]
    rows = tuple((g, p, number, number / support[g]) for (g, p), number in ordered)
    shown = f"the {_PAIRS} most frequent of {len(pairs):,} pairs" if len(pairs) > _PAIRS else ""
    return Table("Confused classes", ("gold", "predicted", "texts", "of gold"), rows, shown)
