"""Token-level scores: every token's tag counts, O included."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from rag_lightning.metrics.rates import Scores, report
from rag_lightning.tasks.evaluation import Confusion


def token_scores(gold: Sequence[list[str]], predicted: Sequence[list[str]], labels: Sequence[str]) -> Scores:
    """Precision, recall, F1 and support per tag, with micro, macro and weighted averages over all tokens.

    Args:
        labels: all tags that occur.
    """
    counts = _counts(gold, predicted, labels)
    return report(labels, counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1))


def tag_confusion(gold: Sequence[list[str]], predicted: Sequence[list[str]], labels: Sequence[str]) -> Confusion:
    """How often each gold tag (row) was predicted as each tag (column)."""
    rows = tuple(tuple(row) for row in _counts(gold, predicted, labels).tolist())
    return Confusion(tuple(labels), rows, "Tags, gold × predicted")


def _counts(gold: Sequence[list[str]], predicted: Sequence[list[str]], labels: Sequence[str]) -> np.ndarray:
    """(labels, labels): tokens of each gold tag that were given each tag."""
    place = {label: number for number, label in enumerate(labels)}
    both = [
        np.fromiter(map(place.__getitem__, chain.from_iterable(each)), dtype=np.int64) for each in (gold, predicted)
    ]
    return np.bincount(both[0] * len(labels) + both[1], minlength=len(labels) ** 2).reshape(len(labels), len(labels))
