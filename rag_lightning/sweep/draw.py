"""Values drawn at random from choices and ranges: deterministic, and a longer list begins like a shorter one."""

import math
from collections.abc import Mapping, Sequence
from random import Random

from rag_lightning.sweep.question import Dimension

_IN_VAIN = 1_000  # draws without anything new: the values are used up


def draw(dimensions: Sequence[Dimension], n: int, seed: int) -> list[Mapping[str, str]]:
    """``n`` different combinations, fewer if there are no more."""
    random = Random(seed)
    found: dict[tuple[str, ...], Mapping[str, str]] = {}
    in_vain = 0
    while len(found) < n and in_vain < _IN_VAIN:
        values = {dimension.key: _one(dimension, random) for dimension in dimensions}
        in_vain = in_vain + 1 if tuple(values.values()) in found else 0
        found.setdefault(tuple(values.values()), values)
    return list(found.values())


def _one(dimension: Dimension, random: Random) -> str:
    if not dimension.is_interval:
        return random.choice(dimension.choices)
    low, high = dimension.low, dimension.high
    place = random.random()
    if dimension.whole and not dimension.log:
        return str(random.randint(int(low), int(high)))
    value = math.exp(math.log(low) + place * math.log(high / low)) if dimension.log else low + place * (high - low)
    return str(round(value)) if dimension.whole else number(value)


def number(value: float) -> str:
    """Six digits: a learning rate can be read, and typed again."""
    return repr(float(f"{value:.6g}"))
