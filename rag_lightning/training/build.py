"""From a plan to the objects that Lightning trains: data module, network, module, trainer."""

import logging
import warnings
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as pl
import torch
import transformers
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from torch import nn

from rag_lightning.callbacks.configured import configured
from rag_lightning.callbacks.dashboard import WandbDashboard
from rag_lightning.callbacks.history import History
from rag_lightning.callbacks.progress import Progress
from rag_lightning.callbacks.throughput import Throughput
from rag_lightning.config.instantiate import instantiate
from rag_lightning.console import is_rank_zero, say
from rag_lightning.data.options import DataConfig
from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.encoding.load import load_words
from rag_lightning.encoding.render import words_of
from rag_lightning.errors import UserError
from rag_lightning.guidance.checks import check_pool
from rag_lightning.guidance.equip import equip_network, equip_task
from rag_lightning.model.load import load_network
from rag_lightning.report.loggers import start_loggers
from rag_lightning.report.text import count
from rag_lightning.retention.retention import Retention
from rag_lightning.speed.accelerate import AppliedSpeed, accelerate
from rag_lightning.speed.precision import choose_precision
from rag_lightning.tasks.outputs.cloze import equip_cloze
from rag_lightning.template.verbalizer import Verbalizer
from rag_lightning.training.atomic import AtomicCheckpointIO
from rag_lightning.training.keeping import general_rows_of, optimization_of, own_device, retention_of
from rag_lightning.training.knowledge import probing
from rag_lightning.training.learned import never_learning
from rag_lightning.training.looked_up import rows_may_rest, training_ids
from rag_lightning.training.module import FineTuning
from rag_lightning.training.optimization import steps_of_epoch, total_steps
from rag_lightning.training.plan import Plan
from rag_lightning.training.resume import ResumePoints
from rag_lightning.training.stop import GracefulStop
from rag_lightning.training.trunk import Trunk, say_trunk, trunk_of
from rag_lightning.training.what_learns import head_is_new, head_notes, unfreezing_of
from rag_lightning.tuning.freeze import FreezeSummary, keep_frozen_in_eval
from rag_lightning.tuning.way import prepare

SHOWN = 600  # characters of the first input
MOST_EXAMPLES = 2_500  # whose mean a label's meaning takes in; with more the start does not matter


@dataclass(frozen=True)
class Parts:
    """Everything of a run that is built."""

    data: GuidedDataModule
    network: Any
    module: FineTuning
    trainer: pl.Trainer
    resume: ResumePoints
    dashboard: WandbDashboard
    frozen: FreezeSummary
    speed: AppliedSpeed
    precision: str
    retention: Retention
    trunk: Trunk
    verbalizer: Verbalizer | None = None
    head_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What a reader should know of the data and of the head."""
        return [*self.data.notes, *self.head_notes, *self.retention.notes]


def build_data(plan: Plan, data: DataConfig | None = None, content: str | None = None) -> GuidedDataModule:
    """The data module, encoded and open."""
    config = plan.config
    words = load_words(
        plan.model.folder, plan.architecture, plan.head, config.model.max_length,
        trust_remote_code=config.model.trust_remote_code,
    )  # fmt: skip
    module = GuidedDataModule(
        data=data or config.data, content=content or plan.content, task=plan.task, options=plan.options, words=words,
        model=plan.model.fingerprint, batching=config.batching, encoding=config.encoding, seed=config.seed,
        guide=plan.guide, rendering=plan.rendering, generation=config.generation,
    )  # fmt: skip
    module.setup()
    return module


def build(plan: Plan, stop: GracefulStop) -> Parts:
    """Everything that a training needs, weights loaded and layers frozen."""
    quiet()
    data = build_data(plan)
    config = plan.config
    check_pool(plan.guide, data.splits)
    mix_in_weak_labels(plan, data)
    network = load_network(
        plan.model.folder, plan.head, data.labels, config.model, config.seed,
        pad_token_id=data.words.tokenizer.pad_token_id,
    )  # fmt: skip
    frozen = prepare(network, config.tuning, plan.frozen_layers, head_is_new=head_is_new(plan), seed=config.seed)
    examples = data.loader("train") if len(data.splits["train"]) <= MOST_EXAMPLES else ()
    equip_network(network, plan.guide, data.labels, data.words.tokenizer, plan.frozen_layers, examples)
    task = equip_task(plan.task, plan.guide, network, data.labels)
    if task.output.equip is not None:
        task = replace(task, output=task.output.equip(task.output, network, data.context()))
    verbalizer = None
    if plan.is_cloze:
        output, verbalizer = equip_cloze(network, task.output, data.context())
        task = replace(task, output=output, pipeline=None)
    accelerator = accelerator_of(config.trainer)
    many = _many_processes(config.trainer)
    precision = str(config.trainer.get("precision", "auto"))
    general = general_rows_of(plan, data)
    ids = training_ids(data, network.config, general) if rows_may_rest(plan.task, config.optimizer) else None
    speed = accelerate(
        network, config.speed, training_ids=ids, accelerator=accelerator, precision=precision, many_processes=many
    )
    precision = choose_precision(precision, accelerator, bool(speed.fused_layers))
    trunk = trunk_of(
        plan, data, network, task, device=own_device(accelerator), precision=precision, fused=bool(speed.fused_layers)
    )

    def set_train_mode(network: nn.Module) -> None:
        network.train()
        keep_frozen_in_eval(network, plan.frozen_layers)

    if plan.retention:
        network.to(own_device(accelerator))  # what the methods hold lies where the network will
    retention = retention_of(plan, network, task, general, speed, precision)
    set_train_mode(network)
    batches = data.batches_per_epoch()
    steps = total_steps(config.trainer, batches)
    module = FineTuning(
        network, task, data.labels, lambda split: data.splits[data.learn_from if split == "train" else split].records,
        optimization=optimization_of(plan, steps, speed),
        set_train_mode=set_train_mode, seed=config.seed, retention=retention,
        unfreezing=unfreezing_of(plan, network, steps, steps_of_epoch(config.trainer, batches)),
        never_learning=never_learning(network), beginning=trunk.beginning,
    )  # fmt: skip
    lower = plan.task.lower_is_better
    monitor = f"validation/{plan.task.headline}"
    resume = ResumePoints(plan.folder / "checkpoints", config.checkpoint, monitor, stop, lower=lower)
    dashboard = WandbDashboard(plan.plain, plan.task.headline, log_model=_logs_model(config.logger), lower=lower)
    trainer = build_trainer(plan, precision, resume, dashboard)
    return Parts(
        data, network, module, trainer, resume, dashboard, frozen, speed, precision, retention, trunk, verbalizer,
        head_notes(plan),
    )  # fmt: skip


def mix_in_weak_labels(plan: Plan, data: GuidedDataModule) -> None:
    """Let the training on labelled examples see weakly labelled ones beside them, if it shall."""
    weight = plan.config.guidance.weak.joint_weight
    if weight > 0 and "weak" in data.splits:
        data.add_mixture("joint", data.splits["weak"].records, weight, plan.folder / "checkpoints" / "joint")
        data.learn_from = "joint"


def accelerator_of(trainer: dict[str, Any]) -> str:
    """``cpu``, ``cuda`` or ``mps``, whatever ``auto`` means here."""
    wanted = str(trainer.get("accelerator", "auto"))
    if wanted in ("gpu", "cuda") or (wanted == "auto" and torch.cuda.is_available()):
        return "cuda"
    if wanted == "mps" or (wanted == "auto" and torch.backends.mps.is_available()):
        return "mps"
    return "cpu"


def build_trainer(plan: Plan, precision: str, resume: ResumePoints, dashboard: WandbDashboard) -> pl.Trainer:
    """Lightning's Trainer with the plan's callbacks and loggers, and ours."""
    config = plan.config
    # What is measured at a step is written before a resume point of that step.
    ours: list[Callback] = [History(plan.folder), Throughput(), dashboard, *probing(plan), resume]
    if config.trainer.get("enable_progress_bar", True):
        ours.append(Progress(plan.task.headline))
    users = configured(config.callbacks, plan.task)
    node = {
        **config.trainer,
        "precision": precision,
        "default_root_dir": str(plan.folder),
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,  # the batch plan deals rows out itself, each exactly once
        "enable_checkpointing": True,
    }
    node.setdefault("enable_model_summary", False)
    loggers = build_loggers(plan)
    try:
        return instantiate(node, callbacks=users + ours, logger=loggers or False, plugins=[AtomicCheckpointIO()])
    except Exception as error:
        cause = error.__cause__ or error
        raise UserError(
            f"Lightning cannot build this trainer: {str(cause).splitlines()[0]}",
            where="trainer",
            remedy="See --cfg job for the trainer's settings.",
        ) from error


def build_loggers(plan: Plan) -> list[Logger]:
    """The configured loggers, started at once, so that a missing login does not end a long run.

    Raises:
        UserError: if a logger cannot be started.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    loggers: list[Logger] = []
    for node in (plan.config.logger or {}).values():
        node = dict(node)
        if node["_target_"].endswith(".WandbLogger"):
            node.pop("log_model", None)  # the dashboard sends the exported model; Lightning would send checkpoints
        loggers.append(instantiate(node))
    if is_rank_zero():
        start_loggers(loggers)
    return loggers


def _logs_model(loggers: dict[str, dict[str, Any]] | None) -> bool:
    return any(bool(node.get("log_model")) for node in (loggers or {}).values())


def _many_processes(trainer: dict[str, Any]) -> bool:
    return str(trainer.get("strategy", "auto")).startswith(("ddp", "fsdp", "deepspeed"))


def say_what_runs(parts: Parts, plan: Plan) -> None:
    """One line each on what a user would want to know before waiting."""
    for note in parts.notes:
        say(f"  data     {note}")
    sizes = ", ".join(f"{name} {len(split.records):,}" for name, split in parts.data.splits.items())
    names = f"; labels: {', '.join(parts.data.labels[:12])}{' …' if len(parts.data.labels) > 12 else ''}"
    say(f"  examples {sizes}{names if parts.data.labels else ''}")
    _say_how_guided(parts.data)
    frozen = f", {parts.frozen.layers} of {parts.frozen.of_layers} layers frozen" if parts.frozen.layers else ""
    trainable, total = parts.frozen.trainable, parts.frozen.trainable + parts.frozen.frozen
    say(f"  model    {plan.model.origin}; {count(trainable)} of {count(total)} parameters learn{frozen}")  # fmt: skip
    if parts.retention:
        held = parts.retention.memory()
        beside = f"; {count(held)}B beside the network" if held else ""
        say(f"  keep     {', '.join(plan.retention)}{beside}")
    say(f"  compute  {accelerator_of(plan.config.trainer)}, precision {parts.precision}; {parts.speed}")
    say_trunk(parts.trunk)


def _say_how_guided(data: GuidedDataModule) -> None:
    """What rules found in the training examples, and the first of them as the model sees it."""
    train = data.splits["train"]
    if data.guide.has_rules:
        records = train.records or data.splits["validation"].records
        hit = sum(bool(record["hits"]) for record in records)
        ways = ", ".join(name for name, used in data.guide.ways(data.splits).items() if used) or "none but the text"
        found = f"{len(data.guide.ruleset.rules)} rules, hits in {hit:,} of {len(records):,} examples"
        say(f"  rules    {found}; used as: {ways}")
    if data.meta["render"] is None or not train.records:
        return
    shown = words_of(data.context().render(train.records[0]))
    say(f"  input    {shown if len(shown) <= SHOWN else shown[:SHOWN] + ' …'}")
    if "left_out" in train.table.column_names and (lost := sum(train.table.column("left_out").to_pylist())):
        say(
            f"           {lost:,} tokens of what the template adds found no room in {len(train):,} inputs",
            style="yellow",
        )


def quiet() -> None:
    """Lightning's advice that does not apply here (encoded text needs no loader processes)."""
    transformers.utils.logging.disable_progress_bar()
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
    warnings.filterwarnings("ignore", message=".*but have no `val_dataloader`.*")  # a stage is not validated
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # frozen layers are
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*The number of training batches .* is smaller than the logging.*")
