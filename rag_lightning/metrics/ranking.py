"""Scores of rankings: average precision, nDCG, recall at a cut-off, reciprocal rank.

Items of equal score stand in no order. Each function therefore returns the mean over all orders of the tied items, in
closed form (McSherry & Najork 2008, "Computing information retrieval performance measures efficiently in the presence
of tied scores"): a model that gives all items one score gets what guessing gets, wherever the relevant items stand in
the data. A score that is NaN counts as the lowest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class _Blocks:
    """The tied blocks of a ranking, best first: each item's block, and each block's number of items and start."""

    of_item: np.ndarray
    sizes: np.ndarray
    starts: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.of_item, weights=values)

    def by_position(self, values: np.ndarray) -> np.ndarray:
        return np.repeat(values, self.sizes)


def average_precision(relevance: Sequence[float], scores: Sequence[float]) -> float:
    """Mean precision at the positions of the relevant items, over the whole ranking; 0 if no item is relevant.

    Args:
        relevance: of each item; above 0 is relevant.
        scores: of each item; the higher, the earlier it stands.
    """
    blocks, relevant = _ranked(relevance, scores)
    found = blocks.sums(relevant)
    if not found.any():
        return 0.0
    before = np.cumsum(found) - found
    position = np.arange(1, len(relevant) + 1)
    earlier_in_block = position - 1 - blocks.by_position(blocks.starts)
    # If one item of a block is relevant, each of the others is so in (found - 1) of (size - 1) cases.
    share_of_others = (found - 1) / np.maximum(blocks.sizes - 1, 1)
    hits = blocks.by_position(before) + earlier_in_block * blocks.by_position(share_of_others) + 1
    return float(np.sum(blocks.by_position(found / blocks.sizes) * hits / position) / found.sum())


def reciprocal_rank(relevance: Sequence[float], scores: Sequence[float]) -> float:
    """1 / position of the first relevant item; 0 if no item is relevant. Arguments as :func:`average_precision`."""
    blocks, relevant = _ranked(relevance, scores)
    found = blocks.sums(relevant)
    if not found.any():
        return 0.0
    first = int(np.flatnonzero(found)[0])
    size = int(blocks.sizes[first])
    chance = np.minimum(found[first] / (size - np.arange(size)), 1.0)  # of a relevant item, if there was none before
    none_before = np.append(1.0, np.cumprod(1 - chance)[:-1])
    return float(np.sum(none_before * chance / (blocks.starts[first] + 1 + np.arange(size))))


def recall_at(k: int, relevance: Sequence[float], scores: Sequence[float]) -> float:
    """Share of the relevant items among the first ``k``; 0 if no item is relevant. Arguments as above."""
    blocks, relevant = _ranked(relevance, scores)
    found = blocks.sums(relevant)
    return float(blocks.by_position(found / blocks.sizes)[:k].sum() / found.sum()) if found.any() else 0.0


def ndcg_at(k: int, relevance: Sequence[float], scores: Sequence[float], exponential: bool = False) -> float:
    """Discounted gain of the first ``k`` items by that of the best order (Järvelin & Kekäläinen 2002).

    0 if no item is relevant.

    Args:
        k: the cut-off, at least 1.
        relevance: grades of at least 0, or 0 and 1.
        scores: of each item; the higher, the earlier it stands.
        exponential: a grade gains 2^grade - 1 (Burges et al. 2005) instead of itself; equal for grades 0 and 1.
    """
    blocks, _ = _ranked(relevance, scores)
    grades = np.asarray(relevance, dtype=float)
    gains = 2**grades - 1 if exponential else grades
    discounts = 1 / np.log2(np.arange(len(gains)) + 2)[:k]
    ideal = float(np.sort(gains)[::-1][:k] @ discounts)
    expected = blocks.by_position(blocks.sums(gains) / blocks.sizes)[:k]
    return float(expected @ discounts) / ideal if ideal else 0.0


def ranking_scores(
    relevance: Sequence[Sequence[float]],
    scores: Sequence[Sequence[float]],
    cutoffs: Sequence[int] = (1, 5, 10),
    exponential: bool = False,
) -> dict[str, float]:
    """Means over queries. A query without a relevant item can be ranked neither well nor badly and is left out.

    Args:
        relevance: of each query's items; above 0 is relevant, nDCG takes it as the grade.
        scores: of each query's items, in the same order.
        cutoffs: the k of nDCG and recall.
        exponential: as for :func:`ndcg_at`.

    Returns:
        "map", "mrr", "ndcg@k" and "recall@k" for each k, "queries" (those that count); all 0 if none counts.

    Raises:
        ValueError: a cut-off below 1, a relevance that is negative or NaN, or lists of different length.
    """
    if min(cutoffs, default=1) < 1:
        raise ValueError(f"cut-offs start at 1: {list(cutoffs)}")
    rows = []
    for grades, values in zip(relevance, scores, strict=True):
        row = {"map": average_precision(grades, values), "mrr": reciprocal_rank(grades, values)}
        row |= {f"ndcg@{k}": ndcg_at(k, grades, values, exponential) for k in cutoffs}
        row |= {f"recall@{k}": recall_at(k, grades, values) for k in cutoffs}
        if row["mrr"] > 0:  # some item is relevant
            rows.append(row)
    names = ["map", "mrr", *(f"ndcg@{k}" for k in cutoffs), *(f"recall@{k}" for k in cutoffs)]
    means = {name: float(np.mean([row[name] for row in rows])) if rows else 0.0 for name in names}
    return {**means, "queries": float(len(rows))}


def _ranked(relevance: Sequence[float], scores: Sequence[float]) -> tuple[_Blocks, np.ndarray]:
    """The blocks of equal score, and 1.0 for each relevant item."""
    grades = np.asarray(relevance, dtype=float)
    values = np.asarray(scores, dtype=float)
    if grades.ndim != 1 or grades.shape != values.shape:
        raise ValueError(f"one score an item: {grades.shape} grades, {values.shape} scores")
    if not (grades >= 0).all():
        raise ValueError("relevance is 0 or more")
    _, of_item, sizes = np.unique(-values, return_inverse=True, return_counts=True)  # NaN last, and as one value
    return _Blocks(of_item, sizes, np.cumsum(sizes) - sizes), (grades > 0).astype(float)
