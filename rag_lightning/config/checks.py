"""Values that a type cannot tell to be wrong: the classes that will take them are asked, before anything is read."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.config.instantiate import instantiate
from rag_lightning.errors import UserError, nearest

_Count = Annotated[int, Field(ge=1, strict=True)]
_Bound = Annotated[int, Field(ge=-1, strict=True)] | None

# Arguments of the Trainer that the run gives itself, and what a user can set instead.
_SET_BY_THE_RUN = {
    "callbacks": "Choose callbacks=…, or add +callbacks.NAME._target_=….",
    "logger": "Choose logger=….",
    "plugins": "Leave it out.",
    "default_root_dir": "Set output_dir or run.folder.",
    "enable_checkpointing": "See checkpoint.*.",
    "num_sanity_val_steps": "Leave it out.",
    "use_distributed_sampler": "Leave it out.",
    "barebones": "Leave it out.",
    "reload_dataloaders_every_n_epochs": "Leave it out.",
}

# Schedules that look at a validation metric, not at the step.
_STEERED_BY_A_METRIC = ("reduce_lr_on_plateau", "greedy")


class TrainerArguments(BaseModel):
    """The arguments of Lightning's Trainer whose values are checked here; it checks the others itself."""

    model_config = ConfigDict(extra="allow")

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu", "xla"] = "auto"
    devices: Literal["auto"] | Annotated[int, Field(ge=-1)] | list[int] | str = "auto"
    num_nodes: _Count = 1
    precision: Literal[
        "auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true",
        "transformer-engine", "transformer-engine-float16", "32", "16", "bf16", "64", 32, 16, 64,
    ] = "auto"  # fmt: skip
    max_epochs: _Bound = None
    max_steps: _Bound = None
    gradient_clip_val: Annotated[float, Field(ge=0, strict=True)] | None = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    accumulate_grad_batches: _Count = 1
    check_val_every_n_epoch: _Count | None = 1
    log_every_n_steps: Annotated[int, Field(ge=0, strict=True)] | None = None
    limit_train_batches: Annotated[float, Field(gt=0)] | None = None
    val_check_interval: Annotated[float, Field(gt=0)] | str | None = None


def check_finite(values: dict[str, Any]) -> None:
    """Raise for NaN or an infinity anywhere in the configuration (``nan`` and ``inf`` are numbers to Hydra)."""
    for key, value in _leaves(values):
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{key} is {value}", where="configuration", remedy="Give a finite number.")


def check_trainer(trainer: dict[str, Any]) -> None:
    """Raise for an argument that the run sets itself, or a training without end."""
    for key, remedy in _SET_BY_THE_RUN.items():
        if trainer.get(key) is not None:
            raise UserError("the run sets this itself", where=f"trainer.{key}", remedy=remedy)
    if trainer.get("devices") == 0:
        raise UserError("a training needs a device", where="trainer.devices", remedy="Set trainer.devices=1 or auto.")


def check_end(trainer: dict[str, Any]) -> None:
    """Raise for a training that would never end."""
    if trainer.get("max_epochs") in (None, -1) and trainer.get("max_steps") in (None, -1):
        raise UserError(
            "the training has no end", where="configuration", remedy="Set trainer.max_epochs or trainer.max_steps."
        )


def check_optimization(optimizer: dict[str, Any], name: str, warmup: float, options: dict[str, Any]) -> None:
    """Build optimizer and schedule once for a single number, so that their own checks speak now.

    Raises:
        UserError: with what torch or transformers say.
    """
    import torch
    from transformers import SchedulerType, get_scheduler

    if "lr" in optimizer and not (isinstance(optimizer["lr"], int | float) and optimizer["lr"] > 0):
        raise UserError(
            f"optimizer.lr is {optimizer['lr']!r}", where="configuration", remedy="Give a number above 0, as 3e-5."
        )
    try:
        made = instantiate({**optimizer, "_partial_": True})([torch.nn.Parameter(torch.zeros(1))])
    except Exception as error:
        raise UserError(
            f"this optimizer cannot be built ({_reason(error)})", where="optimizer", remedy="Correct its settings."
        ) from None
    names = [str(kind.value) for kind in SchedulerType if kind.value not in _STEERED_BY_A_METRIC]
    if name not in names:
        close = nearest(name, names)
        remedy = f"Did you mean {close[0]}? " if close else ""
        raise UserError(
            f"no schedule named {name!r}", where="scheduler.name", remedy=f"{remedy}There are: {', '.join(names)}."
        )
    try:
        get_scheduler(
            name, made, num_warmup_steps=round(warmup), num_training_steps=10, scheduler_specific_kwargs=dict(options)
        )
    except Exception as error:
        raise UserError(
            f"this schedule cannot be built ({_reason(error)})",
            where="scheduler",
            remedy="scheduler.options takes the arguments that transformers' schedule of this name has.",
        ) from None


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:200]


def _leaves(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in _leaves(v, f"{key}.{k}" if key else str(k))]
    if isinstance(value, list):
        return [leaf for v in value for leaf in _leaves(v, key)]
    return [(key, value)]
