"""What a run does to keep knowledge: what its methods read, their hooks on its network, what its optimizer leaves."""

import os

import torch

from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.retention.build import GeneralRows, build_retention, general_rows, in_force, reads_text
from rag_lightning.retention.retention import Retention
from rag_lightning.speed.accelerate import AppliedSpeed
from rag_lightning.tasks.task import Task
from rag_lightning.training.optimization import Optimization
from rag_lightning.training.plan import Plan


def general_rows_of(plan: Plan, data: GuidedDataModule) -> GeneralRows | None:
    """The general text as the run's backbone reads it; None where no method does."""
    if not reads_text(plan.retention):
        return None
    trusted = plan.config.model.trust_remote_code
    return general_rows(plan.config.general_text, plan.situation, data.words.max_length, trust_remote_code=trusted)


def optimization_of(plan: Plan, steps: int, speed: AppliedSpeed, lr: float | None = None) -> Optimization:
    """How the network learns in so many steps, at a rate of its own or the run's."""
    config, tuning = plan.config, plan.config.tuning
    optimizer = config.optimizer if lr is None else {**config.optimizer, "lr": lr}
    holds = in_force(plan.retention)
    return Optimization(optimizer, config.scheduler, steps, tuning.head_lr, speed, tuning.layer_decay, holds)


def retention_of(
    plan: Plan, network: object, task: Task, general: GeneralRows | None, speed: AppliedSpeed, precision: str
) -> Retention:
    """The hooks of the run's methods, with the network as pretraining left it."""
    return build_retention(
        plan.retention, plan.situation, network, task.output.forward, general, seed=plan.config.seed,
        fingerprint=f"{plan.model.fingerprint} {plan.general_content}", numerics=f"{speed.fused_layers} {precision}",
    )  # fmt: skip


def own_device(accelerator: str) -> torch.device:
    """The device of this process."""
    number = int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device("cuda", number) if accelerator == "cuda" else torch.device(accelerator)
