"""What a run will be, known and checked before anything large is loaded or built."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rag_lightning.config.compose import compose, group_choices
from rag_lightning.config.fingerprint import NO_PART_OF_A_RUN, differences, fingerprint, identity
from rag_lightning.config.overrides import hydra_value
from rag_lightning.config.schema import TrainConfig
from rag_lightning.config.validate import to_plain, validate_train
from rag_lightning.data.fields import for_task
from rag_lightning.data.load import content_fingerprint
from rag_lightning.errors import UserError
from rag_lightning.guidance.checks import check_guidance, check_meanings, check_something_to_learn_from, for_mask
from rag_lightning.guidance.embedder import embedder_of
from rag_lightning.guidance.guide import Guide
from rag_lightning.model.interface import check_supported
from rag_lightning.model.load import window_length
from rag_lightning.model.pooling import check_pooling, choose_pooling
from rag_lightning.model.resolve import ResolvedModel, read_config, resolve
from rag_lightning.rules.command import rules_origin
from rag_lightning.rules.load import load_rules
from rag_lightning.tasks.outputs.cloze import HEAD as CLOZE_HEAD
from rag_lightning.tasks.outputs.cloze import check_mask_head
from rag_lightning.tasks.registry import get_task
from rag_lightning.tasks.task import Task
from rag_lightning.template.build import check_template, has_mask
from rag_lightning.template.rendering import Rendering, rendering_of
from rag_lightning.tuning.freeze import check_frozen_layers

MANY_PROCESSES = ("ddp", "fsdp", "deepspeed")


@dataclass(frozen=True)
class Plan:
    """A run, named by what it is.

    Attributes:
        config: checked and typed; ``plain`` is the same as nested dicts with all interpolations resolved.
        head: the kind of head that the network needs: the output kind's, or the backbone's own at a {mask}.
        frozen_layers: of the model's layers, the lowest that do not learn.
        guide: rules and the ways in which they take part; ``rendering`` is the template.
        fingerprint: of everything that changes the result.
        settings: what differs from the task's defaults.
    """

    config: TrainConfig
    plain: dict[str, Any]
    task: Task
    options: Any
    model: ResolvedModel
    architecture: Any
    head: str
    frozen_layers: int
    guide: Guide
    rendering: Rendering
    content: str
    fingerprint: str
    settings: dict[str, Any]
    name: str
    folder: Path


def make_plan(raw: DictConfig) -> Plan:
    """Check everything that can be checked without loading weights, and name the run.

    Raises:
        UserError: for an unknown key, a wrong value, or a combination that cannot work.
    """
    config = validate_train(raw)
    task = get_task(config.task)
    check_devices(config.trainer)
    architecture = read_config(config.model)
    is_cloze = has_mask(config.template)
    head = CLOZE_HEAD if is_cloze else task.output.name
    check_supported(architecture.model_type, head)
    window_length(architecture, config.model.max_length)
    frozen_layers = check_frozen_layers(architecture, config.tuning.frozen_layers, head)
    ways = for_mask(config.guidance, config.model.pooling) if is_cloze else config.guidance
    guide = Guide(load_rules(config.rules, rules_origin(raw)), ways, task.of_tokens)
    check_guidance(guide, config.data)
    check_something_to_learn_from(guide, config.data, is_cloze)
    for_task(config.data, task.label_field)
    if head == "sequence_label":
        check_pooling(config.model.pooling, str(architecture.model_type))
    check_template(config.template, guide.ruleset, task.name)
    content = content_fingerprint(config.data)
    model = resolve(config.model)
    if head == "sequence_label":
        check_meanings(guide, choose_pooling(model.folder, architecture, config.model))
    if is_cloze:
        check_mask_head(model.folder, architecture)
    embed = embedder_of(lambda: model.folder, config.model)
    rendering = rendering_of(config.template, guide.ruleset, task.name, embed, model.fingerprint)
    plain = to_plain(raw)
    own = identity(plain, content, model.fingerprint, _guidance_print(guide, rendering), guide.idle_settings)
    print_of_run = fingerprint(own)
    settings = _settings(raw, plain)
    name = config.run.name or ", ".join(f"{_short(k)}={_shown(v)}" for k, v in settings.items()) or "defaults"
    folder = Path(
        config.run.folder or Path(config.output_dir) / f"{task.name}-{_file_name(config.model.name)}-{print_of_run[:8]}"
    )
    named = OmegaConf.merge(
        raw,
        {"run": {"name": name, "id": print_of_run, "folder": str(folder), "group": config.run.group or task.name}},
    )
    assert isinstance(named, DictConfig)
    return Plan(
        config=validate_train(named), plain=to_plain(named), task=task, options=task.options(**config.task),
        model=model, architecture=architecture, head=head, frozen_layers=frozen_layers, guide=guide,
        rendering=rendering, content=content,
        fingerprint=print_of_run, settings=settings, name=name, folder=folder,
    )  # fmt: skip


def run_identity(plan: Plan) -> dict[str, Any]:
    """All that makes the run what it is, as flat keys."""
    guidance = _guidance_print(plan.guide, plan.rendering)
    return identity(plan.plain, plan.content, plan.model.fingerprint, guidance, plan.guide.idle_settings)


def _guidance_print(guide: Guide, rendering: Rendering) -> str:
    return f"{guide.ruleset.fingerprint} {rendering.fingerprint}"


def _settings(raw: DictConfig, plain: dict[str, Any]) -> dict[str, Any]:
    """What a user would type for this run: groups that are not the default, then single settings."""
    chosen = group_choices(raw)
    default_choices, _ = _defaults((f"task={chosen['task']}",) if "task" in chosen else ())
    groups = {g: c for g, c in chosen.items() if c != default_choices.get(g) and g not in ("trainer", "logger")}
    _, base = _defaults(tuple(f"{group}={choice}" for group, choice in chosen.items()))
    no_part = NO_PART_OF_A_RUN - {"data.path", "model.path"}
    single = {
        key: value
        for key, value in differences(plain, base).items()
        if not any(key.lstrip("+~") == out or key.lstrip("+~").startswith(f"{out}.") for out in no_part)
    }
    return {**groups, **single}


@cache
def _defaults(chosen: tuple[str, ...]) -> tuple[dict[str, str], dict[str, Any]]:
    """The choices and the settings that these choices of groups give; the trials of a sweep ask again and again."""
    config = compose("train", list(chosen))
    return group_choices(config), to_plain(config, whole=False)


def _short(key: str) -> str:
    group, _, last = key.rpartition(".")
    return f"{group}.{last}" if last in ("name", "path") else last


def _shown(value: Any) -> str:
    return Path(value).name if isinstance(value, str) and os.sep in value else hydra_value(value)


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text.rpartition("/")[2]).strip(".-")[:40] or "model"


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
    if in_multirun() and _launches_processes(trainer):
        raise UserError(
            "Lightning's own process launcher cannot be used inside a sweep: every rank would run the sweep again",
            where="trainer.strategy",
            remedy="Use one process per device (trainer=cpu or trainer=gpu; the sweep's launcher is the parallelism), "
            "or trainer.strategy=ddp_spawn, or start the ranks by torchrun, srun or submitit.",
        )


def in_multirun() -> bool:
    """Whether this job is a trial of ``--multirun``."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _launches_processes(trainer: dict[str, Any]) -> bool:
    strategy = str(trainer.get("strategy"))
    if not strategy.startswith(MANY_PROCESSES) or "spawn" in strategy or "notebook" in strategy:
        return False
    if any(name in os.environ for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "GROUP_RANK")):
        return False
    return trainer.get("devices") not in (1, "1")
