"""Which labelled examples are shown before an input, as in in-context learning (Brown et al. 2020).

The nearest ones by embedding are those of Liu et al. 2022, "What makes good in-context examples for GPT-3?".
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

Embed = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True)
class Demonstration:
    """A labelled example that may be shown.

    Attributes:
        fields: what its line of text can show: the example's fields, each text or a list of words.
        answer: its label in words.
        own: the example as one line, by which equals are recognised and neighbours found.
    """

    fields: dict[str, str | list[str]]
    answer: str
    own: str


def fixed_order(groups: Sequence[tuple[str, ...]], seed: int) -> list[int]:
    """All examples in the order in which they are shown to everyone: the first of each label, the second, …

    Args:
        groups: the labels that each example shows (none, one or several).
        seed: of the order within a label.
    """
    order = list(range(len(groups)))
    random.Random(seed).shuffle(order)
    queues: dict[str, list[int]] = defaultdict(list)
    for index in order:
        for label in groups[index] or ("",):
            queues[label].append(index)
    labels = sorted(queues, key=lambda label: (label == "", label))  # examples that show no label come last
    chosen: dict[int, None] = {}
    for place in range(max(map(len, queues.values()), default=0)):
        for label in labels:
            if place < len(queues[label]):
                chosen.setdefault(queues[label][place])
    return list(chosen)


def random_order(size: int, k: int, seed: int, own: str) -> list[int]:
    """A draw of ``k`` out of ``size`` for one example, which depends on the seed and the example alone."""
    return random.Random(f"{seed}:{own}").sample(range(size), min(size, k))


def nearest_order(similarity: np.ndarray, k: int) -> list[int]:
    """The k largest of (examples,) similarities, the most similar first; ties by place."""
    k = min(k, len(similarity))
    best = np.argpartition(-similarity, k - 1)[:k] if k else np.zeros(0, dtype=np.int64)
    return [int(i) for i in sorted(best, key=lambda i: (-similarity[i], i))]


@dataclass
class Chooser:
    """Chooses ``k`` of the pool for an example, never the example itself or one that reads the same.

    Args:
        pool: each text once; for ``fixed`` in the order of showing.
        choice: fixed, random or nearest.
        embed: texts -> (texts, width); needed for nearest.
    """

    pool: Sequence[Demonstration]
    k: int
    choice: str
    seed: int
    embed: Embed | None = None
    _vectors: np.ndarray | None = field(default=None, init=False)
    _near: dict[str, list[int]] = field(default_factory=dict, init=False)

    def prepare(self, texts: Sequence[str]) -> None:
        """Find the neighbours of many examples at once; earlier ones are forgotten."""
        if self.choice != "nearest" or not self.pool or not texts:
            return
        assert self.embed is not None, "checked when the template was built"
        if self._vectors is None:
            self._vectors = _unit(self.embed([each.own for each in self.pool]))
        distinct = list(dict.fromkeys(texts))
        similarity = _unit(self.embed(distinct)) @ self._vectors.T
        self._near = {text: nearest_order(row, self.k + 1) for text, row in zip(distinct, similarity, strict=True)}

    def choose(self, own: str) -> list[Demonstration]:
        """The demonstrations for the example that reads ``own``, in the order of showing."""
        if self.choice == "fixed":
            order: Sequence[int] = range(len(self.pool))
        elif self.choice == "random":
            order = random_order(len(self.pool), self.k + 1, self.seed, own)
        else:
            if own not in self._near:
                self.prepare([own])
            order = self._near.get(own, [])
        return [self.pool[i] for i in order if self.pool[i].own != own][: self.k]


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
