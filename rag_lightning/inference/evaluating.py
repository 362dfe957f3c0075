"""Evaluate a finished run's exported model on its own data or on others."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from rag_lightning.config.instantiate import instantiate
from rag_lightning.config.schema import EvaluateConfig
from rag_lightning.config.validate import check_trainer_node, parse, to_plain
from rag_lightning.console import is_rank_zero, say
from rag_lightning.data.load import content_fingerprint
from rag_lightning.data.options import DataConfig
from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.errors import UserError
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.inference.backbone import take_backbone
from rag_lightning.inference.saved import SavedRun, load_run
from rag_lightning.report.info import RunInfo
from rag_lightning.report.terminal import print_closing, print_evaluation
from rag_lightning.report.write import write_report
from rag_lightning.speed.accelerate import accelerate
from rag_lightning.speed.precision import choose_precision
from rag_lightning.training.build import accelerator_of, quiet
from rag_lightning.training.devices import check_devices
from rag_lightning.training.module import FineTuning


def evaluate_run(raw: DictConfig) -> dict[str, float]:
    """Score a split and write ``evaluation-<data>-<split>/`` with tables, predictions and pictures.

    Returns:
        Metrics as ``split/name``.

    Raises:
        UserError: if the folder is no finished run, or the data do not fit it.
    """
    config = parse(EvaluateConfig, to_plain(raw))
    check_trainer_node(config.trainer)
    check_devices(config.trainer)
    quiet()
    run = load_run(config.run, config.generation)
    if config.backbone is not None:
        take_backbone(run.network, Path(config.backbone).expanduser())
    data = _data(run, config)
    if config.split not in data.splits:
        raise UserError(
            f"there is no {config.split} split", where="split", remedy=f"There are: {', '.join(data.splits)}."
        )
    say(f"evaluating {run.folder.path} on {config.split} of {data.data.name}")
    evaluation, speed = _evaluate(run, data, config)
    say(f"  compute  {speed}")
    under = "" if config.backbone is None else f"-under-{Path(config.backbone).name}"
    name = f"evaluation-{data.data.name}-{config.split}{under}{_otherwise_written(run)}"
    folder = Path(config.output) if config.output else run.folder.path / name
    if is_rank_zero():
        info = _info(run, data, config)
        write_report(folder, info, [evaluation])
        print_evaluation(evaluation)
        print_closing(folder, info, [evaluation])
    return {f"{evaluation.split}/{key}": float(value) for key, value in evaluation.metrics.items()}


def _otherwise_written(run: SavedRun) -> str:
    """What a folder's name says of another way to write than the run's own."""
    own = run.plain.get("generation") or {}
    now = run.config.generation.model_dump(mode="json")
    return "".join(f"-{key}_{re.sub('[^0-9A-Za-z.]+', '_', str(now[key]))}" for key in now if now[key] != own.get(key))


def _to_write_so(options: GenerationOptions | None) -> str:
    """The end of the command that writes as ``options`` say."""
    if options is None:
        return ""
    changed = options.model_dump(mode="json", exclude_defaults=True)
    words = [f"generation.{key}={json.dumps(value)}" for key, value in changed.items()]
    return "".join(f" {shlex.quote(word)}" for word in ("generation=greedy", *words))


def own_data(run: SavedRun) -> GuidedDataModule:
    """The run's own data, divided as in training."""
    return _of(run, run.config.data, None, run.config.batching.eval_tokens)


def _data(run: SavedRun, config: EvaluateConfig) -> GuidedDataModule:
    # Other data are scored whole and as they are; the run's own are divided as in training.
    source, only = (run.config.data, None) if config.data is None else (config.data, config.split)
    return _of(run, source, only, config.eval_tokens)


def _of(run: SavedRun, source: DataConfig, only: str | None, eval_tokens: int) -> GuidedDataModule:
    batching = run.config.batching.model_copy(update={"eval_tokens": eval_tokens})
    types = run.task.rule_labels(run.labels)
    options = run.options.model_copy(update={"labels": types}) if hasattr(run.options, "labels") else run.options
    data = GuidedDataModule(
        data=source, content=content_fingerprint(source, only), task=run.task, options=options, words=run.words,
        model=run.model, batching=batching, encoding=run.config.encoding, seed=run.config.seed, only=only,
        guide=run.guide, rendering=run.rendering, generation=run.config.generation,
    )  # fmt: skip
    data.setup()
    return data


def _evaluate(run: SavedRun, data: GuidedDataModule, config: EvaluateConfig) -> tuple[Any, str]:
    accelerator = accelerator_of(config.trainer)
    wanted = str(config.trainer.get("precision", "auto"))
    speed = accelerate(run.network, run.config.speed, accelerator=accelerator, precision=wanted)
    precision = choose_precision(wanted, accelerator, bool(speed.fused_layers))
    node = {
        **config.trainer, "precision": precision, "num_sanity_val_steps": 0, "use_distributed_sampler": False,
        "enable_model_summary": False, "enable_checkpointing": False, "default_root_dir": str(run.folder.path),
    }  # fmt: skip
    trainer: pl.Trainer = instantiate(node, logger=False)
    module = FineTuning(run.network, run.task, run.labels, lambda _: data.splits[config.split].records)
    # The trainer knows no split but "test" here; the evaluation is named by the one it is of.
    module.evaluated_split = config.split
    data.trainer = trainer
    trainer.test(module, dataloaders=data.loader(config.split), verbose=False)
    return module.evaluations[config.split], f"{accelerator}, precision {precision}; {speed}"


def _info(run: SavedRun, data: GuidedDataModule, config: EvaluateConfig) -> RunInfo:
    _, identity = run.folder.read_config()
    size = sum(parameter.numel() for parameter in run.network.parameters())
    return RunInfo(
        name=f"evaluation of {run.folder.path.name}",
        task=run.task.name,
        model=run.config.model.name,
        data=data.data.name,
        command=f"python -m rag_lightning.evaluate run={config.run} split={config.split}"
        + (f" backbone={config.backbone}" if config.backbone else "")
        + _to_write_so(config.generation),
        settings={},
        fingerprint=str(run.config.run.id or identity.get("model.content", "")),
        seed=run.config.seed,
        versions={},
        n_parameters=size,
        n_trainable=0,
        split_sizes={config.split: len(data.splits[config.split].records)},
        notes=data.notes,
    )
