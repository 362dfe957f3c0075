"""Which files a configuration reads, so that a sweep can tell from their times that nothing has changed."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_read: ContextVar[set[Path] | None] = ContextVar("read", default=None)

Inputs = Mapping[str, tuple[int, int]]


@contextmanager
def noting_inputs() -> Iterator[set[Path]]:
    """Collect the files that are read while this is entered."""
    found: set[Path] = set()
    token = _read.set(found)
    try:
        yield found
    finally:
        _read.reset(token)


def note_input(path: Path) -> None:
    """Say that a file's content takes part in what a run is."""
    if (found := _read.get()) is not None:
        found.add(path)


def state_of(paths: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Size and time of change (ns) of files, and of the folders that they lie in: a file may come to be there."""
    own = {path.absolute() for path in paths}
    states = {str(path): stat_of(path) for path in sorted(own | {path.parent for path in own})}
    return {path: state for path, state in states.items() if state is not None}


def stat_of(path: Path) -> tuple[int, int] | None:
    """Size and time of change (ns); None if it is gone."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns
