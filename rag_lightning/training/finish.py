"""After the last step: best weights, evaluations, the exported model, the report."""

import json
import os
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rag_lightning.config.overrides import hydra_value, override, shell_command
from rag_lightning.console import is_rank_zero
from rag_lightning.guidance.equip import equipment_of
from rag_lightning.guidance.saved import save_guide
from rag_lightning.model.pooling import choose_pooling, is_pooled, save_pooling
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.report.before import Scores, with_scores_before
from rag_lightning.report.info import CardInfo, RunInfo
from rag_lightning.report.knowledge import Knowledge
from rag_lightning.report.terminal import print_closing, print_evaluation
from rag_lightning.report.write import write_report
from rag_lightning.speed.accelerate import undo
from rag_lightning.tasks.evaluation import Evaluation
from rag_lightning.tasks.task import Task
from rag_lightning.training.build import Parts
from rag_lightning.training.folder import RunFolder
from rag_lightning.training.knowledge import knowledge_after, weights_beneath
from rag_lightning.training.plan import Plan
from rag_lightning.trials import are_many
from rag_lightning.tuning.adapter_files import save_adapter, size_of, usage_of
from rag_lightning.tuning.adapters import merge_adapters

ADAPTER = "adapter"  # the folder beside model/
_PREDICT = "python -m rag_lightning.predict run={} text={}"
NO_PIPELINE = (
    "transformers' pipeline does NOT give this model's answers: its head reads the pooled hidden states of all tokens "
    "and lies in pooled_head.safetensors, which pipeline does not read. Use rag_lightning, or train with "
    "model.pooling=native. AutoModel loads the fine-tuned backbone."
)
VERSIONS = ("rag_lightning", "torch", "pytorch-lightning", "transformers", "hydra-core")


def finish(plan: Plan, folder: RunFolder, parts: Parts, seconds: float, untrained: Scores) -> dict[str, float]:
    """Evaluate the chosen weights on validation and test, export and report them.

    Args:
        seconds: how long the run took.
        untrained: each split's metrics before training, where the task shows them.

    Returns:
        All metrics as ``split/name``.
    """
    # After self-training the last weights count: the best ones were chosen before it.
    if plan.config.checkpoint.use == "best" and not plan.config.guidance.self_training.rounds:
        parts.resume.load_best(parts.network)
    parts.retention.choose(lambda: validation_score(plan, parts), plan.task.lower_is_better)
    evaluations = with_scores_before(evaluate_splits(parts), untrained)
    metrics = {f"{e.split}/{name}": float(value) for e in evaluations for name, value in e.metrics.items()}
    if is_rank_zero():
        beneath = weights_beneath(plan, parts.network)
        export(plan, parts, folder.model)
        knowledge = knowledge_after(plan, parts.network, beneath)
        info = run_info(plan, folder, parts, seconds, knowledge)
        pictures = plan.config.run.pictures
        drawn = not are_many() if pictures == "auto" else pictures
        write_report(folder.path, info, evaluations, with_pictures=drawn)
        for evaluation in evaluations:
            parts.dashboard.log_evaluation(evaluation)
            if evaluation.split == "test" or len(evaluations) == 1:
                print_evaluation(evaluation)
        if knowledge is not None:
            parts.dashboard.log_knowledge(knowledge)
            metrics |= {f"probe/{name}": value for name, value in knowledge.metrics().items()}
        parts.dashboard.log_model_folder(folder.model, metadata=metrics)
        shutil.rmtree(folder.checkpoints, ignore_errors=True)  # the exported model holds the weights
        print_closing(folder.path, info, evaluations)
    parts.trainer.strategy.barrier("report written")
    return metrics


def validation_score(plan: Plan, parts: Parts) -> float:
    """The headline metric on validation with the weights as they are."""
    parts.trainer.validate(parts.module, dataloaders=parts.data.val_dataloader(), verbose=False)
    return float(parts.module.evaluations["validation"].metrics[plan.task.headline])


def evaluate_splits(parts: Parts) -> list[Evaluation]:
    """Validation, then test, each example once."""
    trainer, module = parts.trainer, parts.module
    with parts.trunk.in_its_threads():
        trainer.validate(module, dataloaders=parts.data.val_dataloader(), verbose=False)
        if "test" in parts.data.splits:
            trainer.test(module, dataloaders=parts.data.test_dataloader(), verbose=False)
    return [module.evaluations[split] for split in ("validation", "test") if split in module.evaluations]


def export(plan: Plan, parts: Parts, folder: Path) -> None:
    """A standard Hugging Face folder: weights in safetensors, config with the label names, tokenizer.

    A backbone that only went on reading is left as it came in all else: its tokenizer knows masks in a text again, and
    a sentence encoder says how it is pooled, for the task that takes it next.
    """
    undo(parts.network)
    export_adapter(plan, parts, folder.with_name(ADAPTER))
    beside = folder.with_name("model.part")
    shutil.rmtree(beside, ignore_errors=True)
    parts.network.eval().save_pretrained(beside)
    if plan.went_on_reading:
        config = plan.config.model
        load_tokenizer(
            plan.model.folder, split_special_tokens=False, pre_split=False, trust_remote_code=config.trust_remote_code
        ).save_pretrained(beside)
        save_pooling(choose_pooling(plan.model.folder, plan.architecture, config), beside, parts.network.config)
    else:
        parts.data.words.tokenizer.save_pretrained(beside)
    save_guide(parts.data.guide, parts.data.meta["render"], parts.verbalizer, beside)
    for file in (path for path in beside.rglob("*") if path.is_file()):
        file.chmod(0o666 & ~_umask())  # safetensors writes for the owner alone
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def export_adapter(plan: Plan, parts: Parts, folder: Path) -> None:
    """Where adapters learned: themselves in a folder of their own, and then merged into the network."""
    shutil.rmtree(folder, ignore_errors=True)
    added = set(equipment_of(parts.network))
    if save_adapter(parts.network, plan.head, added, _backbone(plan), folder):
        merge_adapters(parts.network)


def adapter_usage(plan: Plan, parts: Parts, folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """A note on the exported adapters and how to use them; empty lists where there are none."""
    adapter = folder / ADAPTER
    if not adapter.is_dir():
        return [], []
    own, merged = size_of(adapter) / 1e3, size_of(folder / "model") / 1e6
    note = (
        f"The {plan.config.tuning.adapter.kind} adapters and the head that learned are {own:,.0f} kB in adapter/ "
        f"(peft's format, for the original backbone); model/ ({merged:.0f} MB) is the backbone with them merged in."
    )
    snippet = usage_of(parts.network, _backbone(plan), adapter)
    return [note], [("Put the adapter on the original backbone", snippet)]


def _backbone(plan: Plan) -> str:
    """Where a reader finds the backbone: its folder, or its name on the Hub."""
    path = plan.config.model.path
    return plan.config.model.name if path is None else str(path)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def run_info(
    plan: Plan, folder: RunFolder, parts: Parts, seconds: float, knowledge: Knowledge | None = None
) -> RunInfo:
    """What the report and the model card say of the run."""
    config, frozen = plan.config, parts.frozen
    notes, usages = adapter_usage(plan, parts, folder.path)
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
        notes=[*parts.notes, *notes],
        knowledge=knowledge,
        usage=usage(folder.path, pipeline, plan.task) + usages,
        card=CardInfo(
            snippet=_snippet(pipeline, "FOLDER", plan.task.example)
            if pipeline
            else _PREDICT.format("RUN_FOLDER", shlex.quote(hydra_value(plan.task.example))),
            pipeline_tag=pipeline,
            limits=(NO_PIPELINE,) if is_pooled(parts.network) and plan.task.pipeline else (),
            base_model=config.model.name if on_hub else None,
            tags=("rag_lightning", plan.task.name),
        ),
    )


def usage(folder: Path, pipeline: str | None, task: Task) -> list[tuple[str, str]]:
    """Commands that use the run, ready to be copied."""
    lines, data = "txt", "csv"
    if task.read_fields is not None:  # several fields to an example
        lines = data = "jsonl"
    elif task.of_tokens or task.reading.of_running_text:
        data = "conll" if task.of_tokens else "texts"
    commands = [
        ("Evaluate it on other data", f"python -m rag_lightning.evaluate run={folder} data={data} data.path=FOLDER"),
        ("Apply it to text", f"python -m rag_lightning.predict run={folder} input=texts.{lines} output=answers.jsonl"),
    ]
    if task.reading.of_running_text:
        model = f"model=local model.path={folder / 'model'}"
        commands.append(("Fine-tune it", f"python -m rag_lightning.train task=classification {model}"))
    if pipeline:
        commands.append(("Use it in Python", _snippet(pipeline, str(folder / "model"), task.example)))
    return commands


def _snippet(pipeline: str, folder: str, example: str) -> str:
    if pipeline == "token-classification":
        call = f'pipeline("{pipeline}", model="{folder}", aggregation_strategy="simple")'
    else:
        call = f'pipeline("{pipeline}", model="{folder}")'
    return f"from transformers import pipeline\nmodel = {call}\nmodel({json.dumps(example, ensure_ascii=False)})"


def _command(plan: Plan) -> str:
    words = [override(key, value) for key, value in plan.settings.items() if key != "task"]
    return shell_command("rag_lightning.train", [f"task={plan.task.name}", *words])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
