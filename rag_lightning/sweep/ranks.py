"""A sweep of trainings that need several processes each: ranks made by torchrun or srun do every trial together.

The first rank is the sweep and its one worker; it tells the others each trial that it begins, and they join in.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from rag_lightning.cli import Interrupted
from rag_lightning.console import is_rank_zero

_LONG = timedelta(days=30)  # others wait for the next trial
_group: Any = None


def many_ranks() -> int:
    """How many processes torchrun or srun made for one training; 1 if none did."""
    if "TORCHELASTIC_RUN_ID" in os.environ or "GROUP_RANK" in os.environ:
        return int(os.environ.get("WORLD_SIZE", "1"))
    return int(os.environ.get("SLURM_NTASKS", "1")) if "SLURM_STEP_ID" in os.environ else 1


@contextlib.contextmanager
def leading() -> Iterator[None]:
    """While entered, the other ranks wait for what :func:`tell` tells them; at the end they are sent home."""
    if many_ranks() == 1 or _group is not None:
        yield
        return
    _join()
    try:
        yield
    finally:
        _exchange(None)
        _leave()


def tell(words: Sequence[str]) -> None:
    """Let the other ranks do this trial too."""
    if _group is not None:
        _exchange(list(words))


def follow() -> bool:
    """Do what the first rank tells, until it is done; False, at once, in the first rank itself."""
    if is_rank_zero() or many_ranks() == 1:
        return False
    from rag_lightning.config.compose import compose
    from rag_lightning.training.plan import make_plan
    from rag_lightning.training.run import run_plan

    _join()
    while (words := _exchange(None)) is not None:
        # The first rank records what became of the trial; the others only have to be there for the next one.
        with contextlib.suppress(Exception, Interrupted):
            run_plan(make_plan(compose("train", words)))
    _leave()
    return True


def _join() -> None:
    """One process group for all trials; Lightning takes it as it is."""
    global _group
    import torch
    import torch.distributed as dist

    if "SLURM_STEP_ID" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ:
        from lightning_fabric.plugins.environments import SLURMEnvironment

        slurm = SLURMEnvironment()
        os.environ |= {
            "MASTER_ADDR": slurm.main_address, "MASTER_PORT": str(slurm.main_port),
            "RANK": str(slurm.global_rank()), "WORLD_SIZE": str(slurm.world_size()),
        }  # fmt: skip
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    _group = dist.new_group(backend="gloo", timeout=_LONG)


def _exchange(words: list[str] | None) -> list[str] | None:
    import torch.distributed as dist

    box = [words]
    dist.broadcast_object_list(box, src=0, group=_group)
    return box[0]


def _leave() -> None:
    global _group
    import torch.distributed as dist

    dist.destroy_process_group()
    _group = None
