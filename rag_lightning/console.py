"""What a run says to its user, once, however many processes it has."""

import os
import sys

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
