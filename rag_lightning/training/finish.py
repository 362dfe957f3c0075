"""After the last step: best weights, evaluations, the exported model, the report."""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rag_lightning.config.overrides import override, shell_command
from rag_lightning.console import is_rank_zero
from rag_lightning.guidance.saved import save_guide
from rag_lightning.model.pooling import is_pooled
from rag_lightning.report.info import CardInfo, RunInfo
from rag_lightning.report.terminal import print_closing, print_evaluation
from rag_lightning.report.write import write_report
from rag_lightning.speed.accelerate import undo
from rag_lightning.tasks.evaluation import Evaluation
from rag_lightning.training.build import Parts
from rag_lightning.training.folder import RunFolder
from rag_lightning.training.plan import Plan

_PREDICT = 'python -m rag_lightning.predict run={} text="Ada Lovelace lived in London."'
NO_PIPELINE = (
    "transformers' pipeline does NOT give this model's answers: its head reads the pooled hidden states of all tokens "
    "and lies in pooled_head.safetensors, which pipeline does not read. Use rag_lightning, or train with "
    "model.pooling=native. AutoModel loads the fine-tuned backbone."
)
VERSIONS = ("rag_lightning", "torch", "pytorch-lightning", "transformers", "hydra-core")


def finish(plan: Plan, folder: RunFolder, parts: Parts, seconds: float) -> dict[str, float]:
    """Evaluate the chosen weights on validation and test, export and report them.

    Returns:
        All metrics as ``split/name``.
    """
    # After self-training the last weights count: the best ones were chosen before it.
    if plan.config.checkpoint.use == "best" and not plan.config.guidance.self_training.rounds:
        parts.resume.load_best(parts.network)
    evaluations = evaluate_splits(parts)
    metrics = {f"{e.split}/{name}": float(value) for e in evaluations for name, value in e.metrics.items()}
    if is_rank_zero():
        export(parts, folder.model)
        info = run_info(plan, folder, parts, seconds)
        write_report(folder.path, info, evaluations)
        for evaluation in evaluations:
            parts.dashboard.log_evaluation(evaluation)
            if evaluation.split == "test" or len(evaluations) == 1:
                print_evaluation(evaluation)
        parts.dashboard.log_model_folder(folder.model, metadata=metrics)
        shutil.rmtree(folder.checkpoints, ignore_errors=True)  # the exported model holds the weights
        print_closing(folder.path, info, evaluations)
    parts.trainer.strategy.barrier("report written")
    return metrics


def evaluate_splits(parts: Parts) -> list[Evaluation]:
    """Validation, then test, each example once."""
    trainer, module = parts.trainer, parts.module
    trainer.validate(module, dataloaders=parts.data.val_dataloader(), verbose=False)
    if "test" in parts.data.splits:
        trainer.test(module, dataloaders=parts.data.test_dataloader(), verbose=False)
    return [module.evaluations[split] for split in ("validation", "test") if split in module.evaluations]


def export(parts: Parts, folder: Path) -> None:
    """A standard Hugging Face folder: weights in safetensors, config with the label names, tokenizer."""
    undo(parts.network)
    beside = folder.with_name("model.part")
    shutil.rmtree(beside, ignore_errors=True)
    parts.network.eval().save_pretrained(beside)
    parts.data.words.tokenizer.save_pretrained(beside)
    save_guide(parts.data.guide, parts.data.meta["render"], parts.verbalizer, beside)
    for file in beside.iterdir():
        file.chmod(0o666 & ~_umask())  # safetensors writes for the owner alone
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def run_info(plan: Plan, folder: RunFolder, parts: Parts, seconds: float) -> RunInfo:
    """What the report and the model card say of the run."""
    config, frozen = plan.config, parts.frozen
    pipeline = None if is_pooled(parts.network) else plan.task.pipeline
    on_hub = config.model.path is None and config.model.package is None
    return RunInfo(
        name=plan.name,
        task=plan.task.name,
        model=config.model.name,
        data=config.data.name,
        command=_command(plan),
        settings=plan.settings,
        fingerprint=plan.fingerprint,
        seed=config.seed,
        versions={"python": sys.version.split()[0], **{n: v for n in VERSIONS if (v := _version(n))}},
        n_parameters=frozen.frozen + frozen.trainable,
        n_trainable=frozen.trainable,
        split_sizes={name: len(split.records) for name, split in parts.data.splits.items()},
        duration_s=seconds,
        best_epoch=float(parts.resume.best_epoch + 1) if config.checkpoint.use == "best" else None,
        history=folder.path / "history.jsonl",
        notes=parts.data.notes,
        usage=usage(folder.path, pipeline, plan.task.of_tokens),
        card=CardInfo(
            snippet=_snippet(pipeline, "FOLDER") if pipeline else _PREDICT.format("RUN_FOLDER"),
            pipeline_tag=pipeline,
            limits=() if pipeline else (NO_PIPELINE,),
            base_model=config.model.name if on_hub else None,
            tags=("rag_lightning", plan.task.name),
        ),
    )


def usage(folder: Path, pipeline: str | None, of_tokens: bool) -> list[tuple[str, str]]:
    """Commands that use the run, ready to be copied."""
    data = "conll" if of_tokens else "csv"
    commands = [
        ("Evaluate it on other data", f"python -m rag_lightning.evaluate run={folder} data={data} data.path=FOLDER"),
        ("Apply it to text", f"python -m rag_lightning.predict run={folder} input=texts.txt output=answers.jsonl"),
    ]
    if pipeline:
        commands.append(("Use it in Python", _snippet(pipeline, str(folder / "model"))))
    return commands


def _snippet(pipeline: str, folder: str) -> str:
    if pipeline == "token-classification":
        call = f'pipeline("{pipeline}", model="{folder}", aggregation_strategy="simple")'
    else:
        call = f'pipeline("{pipeline}", model="{folder}")'
    return f'from transformers import pipeline\nmodel = {call}\nmodel("Ada Lovelace lived in London.")'


def _command(plan: Plan) -> str:
    words = [override(key, value) for key, value in plan.settings.items() if key != "task"]
    return shell_command("rag_lightning.train", [f"task={plan.task.name}", *words])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
