"""Whether this process does many runs one after the other, as a worker of a sweep does."""

from collections.abc import Iterator
from contextlib import contextmanager

from rag_lightning.training.plan import in_multirun

_workers = 0


@contextmanager
def many_trials() -> Iterator[None]:
    """Within the block runs are trials of many: what the next ones need again is made once and kept."""
    global _workers
    _workers += 1
    try:
        yield
    finally:
        _workers -= 1


def are_many() -> bool:
    """Whether runs of this process are trials: within :func:`many_trials`, or in Hydra's multirun."""
    return _workers > 0 or in_multirun()
