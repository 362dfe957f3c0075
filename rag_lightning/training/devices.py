"""Which devices and processes a training may use, told from the trainer's settings alone."""

import os
from typing import Any

from rag_lightning.errors import UserError
from rag_lightning.trials import in_multirun

MANY_PROCESSES = ("ddp", "fsdp", "deepspeed")
_RIGHT_WAYS = (
    "Use one process per device (trainer=gpu with hydra/launcher=joblib|ray|submitit_slurm: the launcher is the "
    "parallelism), or let torchrun make the ranks (torchrun --nproc-per-node 4 -m rag_lightning.train -m …), or Slurm "
    "(srun -n 4 python -m rag_lightning.train -m …, or hydra/launcher=submitit_slurm hydra.launcher.tasks_per_node=4)."
)


def check_devices(trainer: dict[str, Any]) -> None:
    """Refuse devices that are not there, and subprocess launching inside a sweep.

    Raises:
        UserError: with what to do instead.
    """
    import torch

    if trainer.get("accelerator") in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            "no GPU can be used on this machine",
            where="trainer.accelerator",
            remedy="Choose trainer=cpu or trainer=auto.",
        )
    for key in ("limit_val_batches", "limit_test_batches", "fast_dev_run", "overfit_batches"):
        value = trainer.get(key)
        # A bare 1 is one batch, 1.0 is all of them.
        whole = value is None or (isinstance(value, float) and value == 1.0 if key.startswith("limit") else not value)
        if not whole:
            raise UserError(
                "an evaluation counts every example once and cannot be cut off by batches",
                where=f"trainer.{key}",
                remedy="Use fewer examples instead: data.limit.validation=100 data.limit.train=100.",
            )
    if any(word in str(trainer.get("strategy")) for word in ("spawn", "fork", "notebook")):
        raise UserError(
            "what a training holds cannot be handed to processes that Lightning forks or spawns",
            where="trainer.strategy",
            remedy="Choose trainer=ddp or trainer=fsdp, also with torchrun or srun.",
        )
    if in_multirun() and _launches_processes(trainer):
        raise UserError(
            "Lightning's own process launcher cannot be used inside a sweep: every rank would run the sweep again",
            where="trainer.strategy",
            remedy=_RIGHT_WAYS,
        )


def _launches_processes(trainer: dict[str, Any]) -> bool:
    strategy = str(trainer.get("strategy"))
    if not strategy.startswith(MANY_PROCESSES):
        return False
    if any(name in os.environ for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "GROUP_RANK")):
        return False
    return trainer.get("devices") not in (1, "1")
