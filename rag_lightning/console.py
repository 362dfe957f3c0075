"""What a run says to its user, once, however many processes it has."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console

# Wide enough that a log file keeps one sentence on one line.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)


def is_rank_zero() -> bool:
    """Whether this is the first of the processes that torchrun, srun or Lightning started."""
    return all(int(os.environ.get(name) or 0) == 0 for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def say(text: str, *, style: str | None = None) -> None:
    """Print a sentence, on the first process only."""
    if is_rank_zero():
        console.print(text, style=style, markup=False, soft_wrap=True)


def said_file() -> IO[str] | None:
    """The file into which is said what is said now; None is standard output."""
    return console._file


@contextmanager
def said_into(path: Path) -> Iterator[None]:
    """What is said meanwhile goes to the end of a file: of the many trials of a sweep a line each is enough to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = console._file
    with path.open("a", encoding="utf-8") as file:
        console.file = file
        try:
            yield
        finally:
            console._file = before
