"""The values of a swept key as levels of an axis: as typed, or in ranges where they are many numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag_lightning.leaderboard.names import as_number, by_nature, shown
from rag_lightning.leaderboard.rows import Leaderboard

MISSING = "–"
MOST_LEVELS = 10  # numbers beyond that become ranges …
RANGES = 6  # … as many
_LOGARITHMIC = 8.0  # largest / smallest, from which on numbers are told by their size


@dataclass(frozen=True)
class Levels:
    """A swept key.

    Attributes:
        labels: of the levels, in their order; ``of`` gives each value's index among them.
        numbers: value -> number, where all are numbers; ``logarithmic`` where their sizes differ widely.
    """

    key: str
    name: str
    labels: tuple[str, ...]
    of: Mapping[str, int]
    numbers: Mapping[str, float] | None
    logarithmic: bool

    def position(self, value: str) -> float:
        """On an axis: the number or its logarithm, else the level's index."""
        if self.numbers is None:
            return float(self.of[value])
        number = self.numbers[value]
        return math.log10(number) if self.logarithmic else number


def levels_of(board: Leaderboard) -> list[Levels]:
    """The swept keys that differ, over the rows that have a score."""
    return [
        _levels(key, name, [row.values.get(key, MISSING) for row in board.ranked]) for key, name in board.keys.items()
    ]


def _levels(key: str, name: str, values: Sequence[str]) -> Levels:
    distinct = sorted(set(values), key=by_nature)
    numbers = {value: number for value in distinct if (number := as_number(value)) is not None}
    if len(numbers) < len(distinct) or not numbers:
        return Levels(key, name, _labels(distinct), _index(distinct), None, False)
    small, large = min(numbers.values()), max(numbers.values())
    logarithmic = small > 0 and large / small >= _LOGARITHMIC
    if len(distinct) <= MOST_LEVELS:
        return Levels(key, name, _labels(distinct), _index(distinct), numbers, logarithmic)
    edges = _edges(sorted(numbers[value] for value in values))
    of = {value: _range(number, edges) for value, number in numbers.items()}
    labels = tuple(f"{low:.2g} … {high:.2g}" for low, high in pairwise(edges))
    return Levels(key, name, labels, of, numbers, logarithmic)


def _labels(values: Sequence[str]) -> tuple[str, ...]:
    """Short and different from each other: plotly takes equal ones for one."""
    short = [shown(value, 18) for value in values]
    return tuple(f"{text} ({i + 1})" if short.count(text) > 1 else text for i, text in enumerate(short))


def _index(values: Sequence[str]) -> dict[str, int]:
    return {value: index for index, value in enumerate(values)}


def _edges(numbers: Sequence[float]) -> list[float]:
    """Of ranges that hold about equally many of the (sorted) numbers."""
    places = [numbers[round(i * (len(numbers) - 1) / RANGES)] for i in range(RANGES + 1)]
    return sorted(set(places)) if len(set(places)) > 1 else [places[0], places[0]]


def _range(number: float, edges: Sequence[float]) -> int:
    return max(i for i, edge in enumerate(edges[:-1]) if number >= edge or i == 0)
