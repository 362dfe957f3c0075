"""Every labelling of a short sequence, scored one by one: what the algorithms are compared with."""

from itertools import product

import torch
from torch import Tensor


def all_scores(emissions: Tensor, start: Tensor, step: Tensor) -> dict[tuple[int, ...], Tensor]:
    """Score of each labelling of one sequence; ``emissions`` (words, labels)."""
    words, labels = emissions.shape
    scores = {}
    for path in product(range(labels), repeat=words):
        score = start[path[0]] + sum(emissions[word, label] for word, label in enumerate(path))
        scores[path] = score + sum(step[a, b] for a, b in zip(path, path[1:], strict=False))
    return scores


def random_case(seed: int, rows: int = 4, words: int = 4, labels: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Emissions, mask (rows of 1 to ``words`` words), start and step, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    emissions = torch.randn(rows, words, labels, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, words + 1, (rows,), generator=generator)
    lengths[0] = words
    mask = torch.arange(words) < lengths.unsqueeze(1)
    start = torch.randn(labels, generator=generator, dtype=torch.float64)
    step = torch.randn(labels, labels, generator=generator, dtype=torch.float64)
    return emissions, mask, start, step
