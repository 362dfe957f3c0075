"""What a run will be, known and checked before anything large is loaded or built."""

import os
import re
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
from rag_lightning.general_text.passages import READING as GENERAL_TEXT
from rag_lightning.guidance.checks import (
    check_guidance,
    check_mask_answers,
    check_meanings,
    check_something_to_learn_from,
    for_mask,
    ways_for,
)
from rag_lightning.guidance.embedder import embedder_of
from rag_lightning.guidance.guide import Guide
from rag_lightning.model.interface import PRETRAINED_HEADS, TEXT_HEADS, check_supported, n_layers
from rag_lightning.model.load import window_length
from rag_lightning.model.pooling import check_pooling, choose_pooling
from rag_lightning.model.resolve import ResolvedModel, read_config, resolve
from rag_lightning.probe.registry import Probes, check_probes, read_probes
from rag_lightning.retention.build import check_retention, reads_text
from rag_lightning.retention.registry import Chosen, chosen_methods
from rag_lightning.retention.setting import Situation
from rag_lightning.rules.command import rules_origin
from rag_lightning.rules.load import load_rules
from rag_lightning.tasks.outputs.cloze import HEAD as CLOZE_HEAD
from rag_lightning.tasks.outputs.cloze import check_mask_head
from rag_lightning.tasks.registry import get_task
from rag_lightning.tasks.task import Task
from rag_lightning.template.build import check_template, has_mask
from rag_lightning.template.rendering import Rendering, rendering_of
from rag_lightning.training.devices import check_devices
from rag_lightning.tuning.options import TuningConfig, idle_settings
from rag_lightning.tuning.way import check_tuning

# Groups whose choice changes what is measured, not the run: probe itself, and data@probe.….
_PROBING = re.compile(r"(.*@)?probe(\.|$)")


@dataclass(frozen=True)
class Plan:
    """A run, named by what it is.

    Attributes:
        config: checked and typed; ``plain`` is the same as nested dicts with all interpolations resolved.
        head: the kind of head that the network needs: the output kind's, or the backbone's own at a {mask}.
        frozen_layers: of the model's layers, the lowest that do not learn.
        guide: rules and the ways in which they take part; ``rendering`` is the template.
        probes: what is measured of what the pretrained model knew; no part of the fingerprint.
        retention: the methods that keep what the model knew, and ``situation`` what they may know of the run.
        content: fingerprint of the data; ``general_content`` of the general text, empty where none is read.
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
    probes: Probes
    retention: Chosen
    situation: Situation
    content: str
    general_content: str
    fingerprint: str
    settings: dict[str, Any]
    name: str
    folder: Path

    @property
    def is_cloze(self) -> bool:
        """Whether the answer is read off a masked word, by the backbone's own head instead of the task's."""
        return self.head != self.task.output.head

    @property
    def went_on_reading(self) -> bool:
        """Whether the backbone learns as it did before any task, so that tasks take the result."""
        return self.head in PRETRAINED_HEADS and not self.is_cloze


def make_plan(raw: DictConfig) -> Plan:
    """Check everything that can be checked without loading weights, and name the run.

    Raises:
        UserError: for an unknown key, a wrong value, or a combination that cannot work.
    """
    plain = to_plain(raw)
    config = validate_train(plain)
    task = get_task(config.task)
    check_devices(config.trainer)
    architecture = read_config(config.model)
    options = task.settle(task.options(**config.task), config.data)
    task = task.fit(task, options, architecture.model_type)
    is_cloze = has_mask(config.template)
    if is_cloze:
        check_mask_answers(task)
    head = CLOZE_HEAD if is_cloze else task.output.head
    check_supported(architecture.model_type, head)
    window_length(architecture, config.model.max_length)
    frozen_layers = check_tuning(config.tuning, architecture, head, config.optimizer, config.trainer)
    ways = ways_for(task, config.guidance)
    ways = for_mask(ways, config.model.pooling) if is_cloze else ways
    guide = Guide(load_rules(config.rules, rules_origin(raw)), ways, task.of_tokens)
    check_guidance(guide, config.data)
    check_something_to_learn_from(guide, config.data, is_cloze)
    for_task(config.data, task.reading)
    if head in (*TEXT_HEADS, *PRETRAINED_HEADS):  # what is pretrained keeps its pooling for the task after it
        check_pooling(config.model.pooling, str(architecture.model_type), head)
    check_template(config.template, guide.ruleset, task.name)
    task.check(config.template, guide.ruleset)
    retention = chosen_methods(config.retention)
    content = content_fingerprint(config.data)
    model = resolve(config.model)
    every_layer = bool(frozen_layers) and frozen_layers == n_layers(architecture, head)
    situation = Situation(head, model.folder, architecture, every_layer, config.tuning, config.model.random_init)
    check_retention(retention, situation, str(config.trainer.get("strategy")))
    general_content = _general_content(config, retention)
    if head in TEXT_HEADS:
        check_meanings(guide, choose_pooling(model.folder, architecture, config.model, head))
    if is_cloze:
        check_mask_head(model.folder, architecture)
    probes = check_probes(read_probes(config.probe), architecture, model.folder, random_init=config.model.random_init)
    embed = embedder_of(lambda: model.folder, config.model)
    rendering = rendering_of(config.template, guide.ruleset, task.name, embed, model.fingerprint)
    own_settings = settled(config.task, options)
    task_settings = {"task": {**plain["task"], **own_settings}}
    idle = _idle(guide, head, config.tuning, general_content)
    own = identity(
        {**plain, **task_settings, **_read_beside(plain, general_content)}, content, model.fingerprint,
        _guidance_print(guide, rendering), idle,
    )  # fmt: skip
    print_of_run = fingerprint(own)
    settings = _settings(raw, plain)
    name = config.run.name or ", ".join(f"{_short(k)}={_shown(k, v)}" for k, v in settings.items()) or "defaults"
    folder = Path(
        config.run.folder or Path(config.output_dir) / f"{task.name}-{_file_name(config.model.name)}-{print_of_run[:8]}"
    )
    named = OmegaConf.merge(
        raw,
        {
            "run": {"name": name, "id": print_of_run, "folder": str(folder), "group": config.run.group or task.name},
            "task": own_settings,
        },
    )
    assert isinstance(named, DictConfig)
    named_plain = to_plain(named)
    return Plan(
        config=validate_train(named_plain), plain=named_plain, task=task, options=options,
        model=model, architecture=architecture, head=head, frozen_layers=frozen_layers, guide=guide,
        rendering=rendering, probes=probes, retention=retention, situation=situation, content=content,
        general_content=general_content,
        fingerprint=print_of_run, settings=settings, name=name, folder=folder,
    )  # fmt: skip


def settled(given: dict[str, Any], options: Any) -> dict[str, Any]:
    """The task's settings that have become something else: what ``auto`` means here, and a file's content."""
    values = options.model_dump(mode="json")
    return {key: values[key] for key, value in given.items() if isinstance(value, str) and values.get(key) != value}


def run_identity(plan: Plan) -> dict[str, Any]:
    """All that makes the run what it is, as flat keys."""
    guidance = _guidance_print(plan.guide, plan.rendering)
    plain = {**plan.plain, **_read_beside(plan.plain, plan.general_content)}
    idle = _idle(plan.guide, plan.head, plan.config.tuning, plan.general_content)
    return identity(plain, plan.content, plan.model.fingerprint, guidance, idle)


def _idle(guide: Guide, head: str, tuning: TuningConfig, general_content: str) -> set[str]:
    """The settings that have no effect in a run."""
    unread = set() if general_content else {"general_text"}
    return guide.idle_settings | idle_settings(tuning) | unread | (set() if head == "text" else {"generation"})


def _general_content(config: TrainConfig, retention: Chosen) -> str:
    """The fingerprint of the general text; empty where nobody reads it."""
    if not reads_text(retention):
        return ""
    for_task(config.general_text, GENERAL_TEXT)
    return content_fingerprint(config.general_text)


def _read_beside(plain: dict[str, Any], general_content: str) -> dict[str, Any]:
    return {"general_text": {**plain["general_text"], "content": general_content}}


def _guidance_print(guide: Guide, rendering: Rendering) -> str:
    return f"{guide.ruleset.fingerprint} {rendering.fingerprint}"


def _settings(raw: DictConfig, plain: dict[str, Any]) -> dict[str, Any]:
    """What a user would type for this run: groups that are not the default, then single settings."""
    chosen = {group: choice for group, choice in group_choices(raw).items() if not _PROBING.match(group)}
    bringing = ("task", "recipe")  # these choose options of other groups
    default_choices, _ = _defaults(tuple(f"{group}={chosen[group]}" for group in bringing if group in chosen))
    recipe = {"recipe": chosen["recipe"]} if chosen.get("recipe", "none") != "none" else {}
    groups = {g: c for g, c in chosen.items() if c != default_choices.get(g) and g not in ("trainer", "logger")}
    groups = {**recipe, **groups}
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


def _shown(key: str, value: Any) -> str:
    is_path = key.endswith(("path", "name")) and isinstance(value, str) and os.sep in value
    return Path(value).name if is_path else hydra_value(value)


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text.rpartition("/")[2]).strip(".-")[:40] or "model"
