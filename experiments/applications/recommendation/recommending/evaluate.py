"""Scores of recommendations: ranking metrics of each user, coverage, novelty, intervals by bootstrap over users."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag_lightning.metrics.ranking import average_precision, ndcg_at, recall_at
from recommending.features import Scores

TOP = 10
DRAWS = 2000
LEVEL = 0.95
SEED = 0
METRICS = (f"ndcg@{TOP}", f"recall@{TOP}", "map")


@dataclass(frozen=True)
class Interval:
    """A mean over users, and where it lies with 95 % confidence."""

    mean: float
    low: float
    high: float

    def told(self) -> list[float]:
        """Mean, lower and upper end, for a file of results."""
        return [round(each, 4) for each in (self.mean, self.low, self.high)]


def per_user(scores: Scores, open_: NDArray[np.bool_], relevant: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Each metric of each user who liked something that may be shown, over all films that may be shown.

    No candidates are sampled: what sampled metrics say of an order of methods may be wrong (Krichene & Rendle 2020).

    Returns:
        name of a metric -> (users that count,), in the order of the rows.
    """
    rows: dict[str, list[float]] = {name: [] for name in METRICS}
    for row in counted(open_, relevant):
        grades, values = relevant[row, open_[row]].astype(float), scores[row, open_[row]]
        rows[METRICS[0]].append(ndcg_at(TOP, grades, values))
        rows[METRICS[1]].append(recall_at(TOP, grades, values))
        rows[METRICS[2]].append(average_precision(grades, values))
    return {name: np.array(values) for name, values in rows.items()}


def counted(open_: NDArray[np.bool_], relevant: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The rows of the users who liked something that may be shown."""
    return np.flatnonzero((relevant & open_).any(axis=1))


def top(scores: Scores, open_: NDArray[np.bool_], k: int = TOP) -> list[NDArray[np.int64]]:
    """The columns of each user's first films; films of equal score in an order drawn for each user."""
    rng = np.random.default_rng(SEED)
    lists = []
    for row, values in enumerate(scores):
        shown = np.flatnonzero(open_[row])
        lists.append(shown[np.lexsort((rng.random(len(shown)), -values[shown]))][:k])
    return lists


def coverage(lists: list[NDArray[np.int64]], films: int) -> float:
    """Share of the films that stand on somebody's list."""
    return len(set().union(*(set(each.tolist()) for each in lists))) / films


def novelty(lists: list[NDArray[np.int64]], likes: NDArray[np.float64], users: int) -> float:
    """Mean self-information of what is shown: -log2 of the share of users who like it, in bits (Zhou et al. 2010).

    One like more is counted for every film, so that one that nobody liked is a finite surprise.

    Args:
        lists: columns of films, for each user.
        likes: (films,) how many users liked each.
        users: how many users there are.
    """
    bits = -np.log2((likes + 1) / (users + 1))
    return float(np.mean(np.concatenate([bits[each] for each in lists])))


def interval(values: NDArray[np.float64]) -> Interval:
    """Percentile bootstrap (Efron & Tibshirani 1993): 2,000 times as many users are drawn with replacement."""
    drawn = np.random.default_rng(SEED).integers(len(values), size=(DRAWS, len(values)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def table(
    rows: Mapping[str, Scores],
    open_: NDArray[np.bool_],
    relevant: NDArray[np.bool_],
    likes: NDArray[np.float64] | None = None,
    people: int = 0,
) -> tuple[dict[str, dict[str, float | list[float]]], dict[str, NDArray[np.float64]]]:
    """Every way of ranking scored; and nDCG of each user, for differences between ways.

    Args:
        rows: name of a way -> (users, films).
        likes: (films,) how many people liked each; without it novelty is left out.
        people: how many there are.
    """
    told: dict[str, dict[str, float | list[float]]] = {}
    single = {}
    for name, scores in rows.items():
        values = per_user(scores, open_, relevant)
        single[name] = values[METRICS[0]]
        told[name] = {metric: interval(each).told() for metric, each in values.items()}
        lists = top(scores, open_)
        told[name][f"coverage@{TOP}"] = round(coverage(lists, open_.shape[1]), 4)
        if likes is not None:
            told[name][f"novelty@{TOP}"] = round(novelty(lists, likes, people), 2)
    return told, single
