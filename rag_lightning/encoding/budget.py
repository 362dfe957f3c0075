"""Which rows go together under a budget of padded tokens."""

import numpy as np

Rows = np.ndarray


def by_budget(lengths: np.ndarray, order: np.ndarray, budget: int) -> list[Rows]:
    """Cut ``order`` into batches whose padded size stays within ``budget`` (a longer row stands alone)."""
    batches: list[Rows] = []
    start, longest = 0, 0
    for position, row in enumerate(order):
        grown = max(longest, int(lengths[row]))
        if position > start and grown * (position - start + 1) > budget:
            batches.append(order[start:position])
            start, grown = position, int(lengths[row])
        longest = grown
    if start < len(order):
        batches.append(order[start:])
    return batches
