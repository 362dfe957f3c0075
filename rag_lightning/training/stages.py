"""What is trained beside the labelled examples: a warm-up on weak labels before them, self-training after them.

A stage is a fit of its own on the same network, with its own optimizer, schedule and resume points; a finished stage
leaves its weights behind, so that an interrupted run does not repeat it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from rag_lightning.callbacks.history import History
from rag_lightning.callbacks.progress import Progress
from rag_lightning.config.instantiate import instantiate
from rag_lightning.console import is_rank_zero, say
from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.encoding.loader import ResumableLoader
from rag_lightning.rules.self_training import confident_records
from rag_lightning.training.atomic import AtomicCheckpointIO
from rag_lightning.training.build import Parts
from rag_lightning.training.keeping import optimization_of
from rag_lightning.training.learned import load_learned, save_learned
from rag_lightning.training.module import FineTuning
from rag_lightning.training.optimization import steps_of_epoch, total_steps
from rag_lightning.training.plan import Plan
from rag_lightning.training.resume import ResumePoints, newest_whole
from rag_lightning.training.stop import GracefulStop
from rag_lightning.training.what_learns import unfreezing_of

_RETENTION = "retention.pt"  # what methods carry on, beside the weights of a finished stage


@dataclass(frozen=True)
class Stage:
    """A fit on one of the data module's splits.

    Attributes:
        name: of its folder; ``number`` makes its random numbers its own.
        split: the encoded split that it trains on.
        lr: learning rate; None: that of the run.
    """

    name: str
    number: int
    split: str
    epochs: int
    lr: float | None = None


class _StageData(pl.LightningDataModule):
    def __init__(self, data: GuidedDataModule, split: str) -> None:
        super().__init__()
        self.data, self.split = data, split

    def train_dataloader(self) -> ResumableLoader:
        self.data.trainer = self.trainer
        return self.data.training_loader(self.split)


def learn(plan: Plan, parts: Parts, stop: GracefulStop, point: Path | None) -> None:
    """All that is trained: a warm-up on weak labels, the labelled examples, rounds of self-training.

    Args:
        point: where the training on labelled examples was interrupted; what came before it is then done.
    """
    weak = plan.config.guidance.weak
    if point is None and weak.warmup_epochs and len(parts.data.splits.get("weak", ())):
        run_stage(Stage("warmup", 1, "weak", weak.warmup_epochs, weak.warmup_lr), plan, parts, stop)
    if len(parts.data.splits[parts.data.learn_from]):
        parts.trainer.fit(parts.module, datamodule=parts.data, ckpt_path=point, weights_only=True)
    else:
        say("  no labelled example: the model answers as it is")
    for number in range(1, plan.config.guidance.self_training.rounds + 1):
        _self_train(number, plan, parts, stop)
    parts.retention.after_training()


def _self_train(number: int, plan: Plan, parts: Parts, stop: GracefulStop) -> None:
    """One round: answer the unlabelled examples, take the confident answers as labels, learn from both."""
    options, name = plan.config.guidance.self_training, f"round-{number}"
    if number == 1 and plan.config.checkpoint.use == "best":
        parts.resume.load_best(parts.network)
    pool = parts.data.splits["unlabelled"].records
    taken = confident_records(pool, _answers(parts), threshold=options.threshold)
    say(f"  {name:<8} {len(taken):,} of {len(pool):,} unlabelled examples are answered with confidence")
    if not taken:
        return
    parts.data.add_mixture(name, taken, options.weight, plan.folder / "checkpoints" / name)
    run_stage(Stage(name, 1 + number, name, options.epochs), plan, parts, stop)


@torch.inference_mode()
def _answers(parts: Parts) -> list[Any]:
    """The network's predictions for the unlabelled examples."""
    data, module, device = parts.data, parts.module, next(parts.network.parameters()).device
    parts.network.eval()
    decoded = []
    for batch in data.loader("unlabelled"):
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        decoded.append(module.task.output.decode(module.task.output.forward(parts.network, batch), batch))
    return module.task.output.assemble(data.splits["unlabelled"].records, decoded, data.labels)


def run_stage(stage: Stage, plan: Plan, parts: Parts, stop: GracefulStop) -> None:
    """Train the network on a stage's split, or put back the weights that it gave before an interruption."""
    folder = plan.folder / "checkpoints" / stage.name
    done = folder / "done.safetensors"
    if done.is_file():
        load_learned(parts.network, done)
        parts.retention.load_state_dict(torch.load(folder / _RETENTION, weights_only=True))
        return
    node = {**plan.config.trainer, "max_epochs": stage.epochs, "max_steps": -1}
    steps = total_steps(node, parts.data.batches_per_epoch(stage.split))
    say(f"  {stage.name:<8} {len(parts.data.splits[stage.split].records):,} examples, {steps:,} steps")
    an_epoch = steps_of_epoch(node, parts.data.batches_per_epoch(stage.split))
    module = FineTuning(
        parts.network, parts.module.task, parts.data.labels, lambda _: parts.data.splits[stage.split].records,
        optimization=optimization_of(plan, steps, parts.speed, stage.lr), set_train_mode=parts.module.set_train_mode,
        seed=plan.config.seed, retention=parts.retention, stage=stage.number,
        unfreezing=unfreezing_of(plan, parts.network, steps, an_epoch),
        never_learning=parts.module.never_learning, beginning=parts.module.beginning,
    )  # fmt: skip
    trainer = _trainer(stage, plan, parts, node, ResumePoints(folder, plan.config.checkpoint, "", stop))
    point = newest_whole(folder, clean=is_rank_zero())
    trainer.fit(module, datamodule=_StageData(parts.data, stage.split), ckpt_path=point, weights_only=True)
    if is_rank_zero():
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(parts.retention.state_dict(), folder / _RETENTION)
        save_learned(parts.network.state_dict(), parts.module.never_learning, done)
    trainer.strategy.barrier(stage.name)


def _trainer(stage: Stage, plan: Plan, parts: Parts, node: dict[str, Any], resume: ResumePoints) -> pl.Trainer:
    history = plan.folder / stage.name
    history.mkdir(parents=True, exist_ok=True)
    callbacks: list[pl.Callback] = [History(history), resume]
    if node.get("enable_progress_bar", True):
        callbacks.append(Progress("loss"))
    settings: dict[str, Any] = {
        **node, "precision": parts.precision, "default_root_dir": str(plan.folder), "num_sanity_val_steps": 0,
        "use_distributed_sampler": False, "enable_checkpointing": True, "enable_model_summary": False,
        "limit_val_batches": 0,
    }  # fmt: skip
    return instantiate(settings, callbacks=callbacks, logger=False, plugins=[AtomicCheckpointIO()])
