"""Whether this process does many runs one after the other, as a worker of a sweep does, and what it keeps for them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Kept = TypeVar("Kept")

_MOST = 2  # such as a backbone under a head, and the one on which probes are measured
_workers = 0
_kept: dict[str, OrderedDict[str, Any]] = {}


@contextmanager
def many_trials() -> Iterator[None]:
    """Within the block runs are trials of many: what the next ones need again is kept in memory.

    Around the whole of a worker's life, not around each trial. Blocks may be nested.
    """
    global _workers
    _workers += 1
    try:
        yield
    finally:
        _workers -= 1
        if not _workers:
            _kept.clear()


def are_many() -> bool:
    """Whether runs of this process are trials: within :func:`many_trials`, or in Hydra's multirun."""
    return _workers > 0 or in_multirun()


def in_multirun() -> bool:
    """Whether this job is a trial of ``--multirun``."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def kept(kind: str, key: str, make: Callable[[], Kept]) -> Kept:
    """What ``make`` gave when this process asked for ``key`` last; of each kind two things at most stay.

    The caller copies what it would change. Outside of many trials nothing is kept.
    """
    if not are_many():
        return make()
    shelf = _kept.setdefault(kind, OrderedDict())
    if key not in shelf:
        shelf[key] = make()
    shelf.move_to_end(key)
    while len(shelf) > _MOST:
        shelf.popitem(last=False)
    found: Kept = shelf[key]
    return found
