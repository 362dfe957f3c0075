"""Texts that resemble a text, by their vectors: exact, one matrix product; a million texts need no index yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
_AT_A_TIME = 512  # queries, so that the matrix of cosines stays small


@dataclass(frozen=True)
class Neighbours:
    """The nearest of the known texts, the nearest first; of equally near ones the first.

    Attributes:
        places: (queries, count), which of the known texts.
        cosines: (queries, count).
    """

    places: npt.NDArray[np.int64]
    cosines: Floats


def nearest(queries: Floats, known: Floats, count: int) -> Neighbours:
    """The ``count`` known texts nearest to each query; all of them where there are fewer.

    Args:
        queries: (queries, width) unit vectors.
        known: (known texts, width) unit vectors, at least one.
        count: how many, at least 1.

    Raises:
        ValueError: nothing known, or a count below 1.
    """
    if count < 1 or not len(known):
        raise ValueError("there must be something to find")
    places, cosines = [np.zeros((0, min(count, len(known))), np.int64)], [np.zeros((0, min(count, len(known))))]
    for start in range(0, len(queries), _AT_A_TIME):
        found = queries[start : start + _AT_A_TIME] @ known.T
        order = np.argsort(-found, axis=1, kind="stable")[:, :count]
        places.append(order)
        cosines.append(np.take_along_axis(found, order, axis=1))
    return Neighbours(np.concatenate(places), np.concatenate(cosines))


def recall_at(found: Sequence[Sequence[str]], right: Sequence[str], sizes: Iterable[int]) -> dict[int, float]:
    """For each size the share of queries among whose first so many finds one has the right label.

    Args:
        found: labels of the finds of each query, the nearest first.
        right: the query's own label.
        sizes: such as 1, 5, 10.
    """
    if not right:
        raise ValueError("there is no query")
    return {
        size: sum(label in labels[:size] for labels, label in zip(found, right, strict=True)) / len(right)
        for size in sizes
    }
