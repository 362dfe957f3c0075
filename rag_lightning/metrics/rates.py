"""Precision, recall and F1 from counts, with the usual averages; the numbers of sklearn's and seqeval's reports.

They are computed here because a report of either takes longer than an epoch of a head on kept states.
"""

from collections.abc import Sequence

import numpy as np

Scores = dict[str, dict[str, float]]


def report(names: Sequence[str], right: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> Scores:
    """Scores of each class, then their micro, macro and weighted averages.

    Args:
        names: of the classes; right, predicted, gold: (classes,) how many are so. What is divided by 0 is 0.
    """
    of_classes = _rates(right, predicted, gold)
    rows = {name: _row([rate[number] for rate in of_classes], gold[number]) for number, name in enumerate(names)}
    total = gold.sum()
    together = _rates(*(counts.sum(keepdims=True) for counts in (right, predicted, gold)))
    rows["micro avg"] = _row([rate[0] for rate in together], total)
    rows["macro avg"] = _row([rate.mean() for rate in of_classes], total)
    weighted = [np.average(rate, weights=gold) if total else 0.0 for rate in of_classes]
    rows["weighted avg"] = _row(weighted, total)
    return rows


def _rates(right: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _share(right, predicted), _share(right, gold), _share(2.0 * right, predicted + gold)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _row(rates: Sequence[float], support: float) -> dict[str, float]:
    names = ("precision", "recall", "f1-score", "support")
    return {name: float(value) for name, value in zip(names, (*rates, support), strict=True)}
