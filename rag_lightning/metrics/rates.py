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
    precision, recall, f1 = _rates(right, predicted, gold)
    rows = {
        name: _row(*each) for name, *each in zip(names, precision, recall, f1, gold, strict=True)
    }  # fmt: skip
    total = gold.sum()
    rows["micro avg"] = _row(
        *(each[0] for each in _rates(*(np.array([n.sum()]) for n in (right, predicted, gold)))), total
    )
    rows["macro avg"] = _row(precision.mean(), recall.mean(), f1.mean(), total)
    weights = gold if total else np.ones_like(gold)
    averaged = (np.average(each, weights=weights) if total else 0.0 for each in (precision, recall, f1))
    rows["weighted avg"] = _row(*averaged, total)
    return rows


def _rates(right: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _share(right, predicted), _share(right, gold), _share(2.0 * right, predicted + gold)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _row(precision: float, recall: float, f1: float, support: float) -> dict[str, float]:
    values = {"precision": precision, "recall": recall, "f1-score": f1, "support": support}
    return {key: float(value) for key, value in values.items()}
