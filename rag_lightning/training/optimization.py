"""Optimizer, schedule, parameter groups and gradient clipping, straight from torch and transformers."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rag_lightning.config.instantiate import instantiate
from rag_lightning.config.schema import SchedulerConfig
from rag_lightning.errors import UserError
from rag_lightning.model.pair_head import NAME as PAIR_HEAD
from rag_lightning.speed.accelerate import AppliedSpeed, optimizer_hook
from rag_lightning.speed.clipping import clip_in_optimizer
from rag_lightning.tuning.layer_rates import Rate, layer_rates


@dataclass(frozen=True)
class Optimization:
    """What is needed to build optimizer and schedule once the parameters are known.

    Attributes:
        optimizer: a node with ``_target_`` and the arguments of a torch optimizer.
        scheduler: a schedule of transformers.
        steps: of the whole training.
        head_lr: learning rate of the task head; None for that of the backbone.
        speed: what was accelerated in the network.
        layer_decay: a layer's learning rate is that of the layer above it times this.
        unused_rows_rest: embeddings of words that the data lack stay as pretrained instead of decaying.
    """

    optimizer: dict[str, Any]
    scheduler: SchedulerConfig
    steps: int
    head_lr: float | None = None
    speed: AppliedSpeed = field(default_factory=AppliedSpeed)
    layer_decay: float = 1.0
    unused_rows_rest: bool = False

    def build(self, network: PreTrainedModel) -> dict[str, Any]:
        """In the form of Lightning's ``configure_optimizers``."""
        from transformers import get_scheduler

        node = {**self.optimizer, "_partial_": True}
        groups = parameter_groups(network, float(node.get("weight_decay") or 0.0), self.head_lr)
        if self.layer_decay < 1.0:
            groups = by_layer(groups, layer_rates(network, self.layer_decay), float(node["lr"]))
        optimizer = instantiate(node)(groups)
        if not self.unused_rows_rest:
            optimizer_hook(self.speed, optimizer)
        warmup = self.scheduler.warmup
        schedule = get_scheduler(
            self.scheduler.name,
            optimizer,
            num_warmup_steps=round(warmup * self.steps) if warmup < 1 else round(warmup),
            num_training_steps=self.steps,
            scheduler_specific_kwargs=dict(self.scheduler.options),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step", "name": "lr"}}


def total_steps(trainer: dict[str, Any], batches: int) -> int:
    """Optimizer steps of a whole training.

    Lightning's ``estimated_stepping_batches`` would set up the loaders before a checkpoint's position is loaded
    into them, and a resumed run would begin its epoch again.

    Args:
        trainer: arguments of Lightning's Trainer.
        batches: in an epoch.
    """
    an_epoch = steps_of_epoch(trainer, batches)
    bounds = [int(trainer["max_epochs"]) * an_epoch if trainer.get("max_epochs") not in (None, -1) else None]
    bounds.append(int(trainer["max_steps"]) if trainer.get("max_steps") not in (None, -1) else None)
    return max(1, min(bound for bound in bounds if bound is not None))


def steps_of_epoch(trainer: dict[str, Any], batches: int) -> int:
    """Optimizer steps of one epoch; the arguments are those of :func:`total_steps`."""
    limit = trainer.get("limit_train_batches", 1.0)
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return max(1, math.ceil(batches / int(trainer.get("accumulate_grad_batches") or 1)))


def parameter_groups(network: nn.Module, weight_decay: float, head_lr: float | None) -> list[dict[str, Any]]:
    """Trainable parameters by part (backbone, head) and by whether they decay.

    Biases and norm weights, which are vectors, do not decay.
    """
    backbone = {id(parameter) for parameter in backbone_parameters(network)}
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            part = "backbone" if id(parameter) in backbone else "head"
            groups.setdefault((part, parameter.ndim >= 2), []).append(parameter)
    if not groups:
        raise UserError(
            "no parameter is left to train", where="tuning", remedy="Lower tuning.frozen_layers or choose tuning=full."
        )
    result = []
    for (part, decays), parameters in groups.items():
        group: dict[str, Any] = {"params": parameters, "weight_decay": weight_decay if decays else 0.0}
        group["name"] = f"{part}{'' if decays else '/no_decay'}"
        if part == "head" and head_lr is not None:
            group["lr"] = head_lr
        result.append(group)
    return result


def by_layer(groups: list[dict[str, Any]], rates: Mapping[int, Rate], lr: float) -> list[dict[str, Any]]:
    """The groups divided further by part, each with its own learning rate.

    Args:
        groups: of :func:`parameter_groups`.
        rates: of parameters by ``id``; those that are not in it stay as they are.
        lr: of which a rate is a share.
    """
    divided: dict[tuple[int, str], dict[str, Any]] = {}
    for number, group in enumerate(groups):
        for parameter in group["params"]:
            rate = rates.get(id(parameter))
            key = (number, rate.part if rate else "")
            if key not in divided:
                divided[key] = {**group, "params": []}
                if rate is not None:
                    suffix = str(group["name"]).partition("/")
                    divided[key] |= {"name": rate.part + suffix[1] + suffix[2], "lr": lr * rate.factor}
            divided[key]["params"].append(parameter)
    return list(divided.values())


def backbone_parameters(network: nn.Module) -> Iterable[nn.Parameter]:
    """The pretrained part, which Hugging Face models name by ``base_model_prefix``."""
    base = getattr(network, getattr(network, "base_model_prefix", ""), network)
    if isinstance(base, nn.Module) and base is not network:
        return base.parameters()
    return (each for name, each in network.named_parameters() if not name.startswith(f"{PAIR_HEAD}."))


def clip_gradients(
    module: pl.LightningModule, optimizer: torch.optim.Optimizer, limit: float | None, algorithm: str | None
) -> Tensor | None:
    """Clip all gradients and return their norm before clipping (None under FSDP without a limit)."""
    from pytorch_lightning.strategies import FSDPStrategy

    strategy = module.trainer.strategy
    if isinstance(strategy, FSDPStrategy):  # gradients are shards: only FSDP itself knows the norm
        clip = getattr(strategy.model, "clip_grad_norm_", None)
        return clip(limit) if clip is not None and limit else None
    with_gradient = [p for p in module.parameters() if p.grad is not None]
    if limit and algorithm != "value":
        return clip_in_optimizer(optimizer, with_gradient, limit)
    norm = torch.nn.utils.get_total_norm([p.grad for p in with_gradient if p.grad is not None])
    if limit:
        torch.nn.utils.clip_grad_value_(with_gradient, limit)
    return norm
