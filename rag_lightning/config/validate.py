"""Check a composed configuration whole, before anything is built."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from rag_lightning.config.checks import TrainerArguments, check_end, check_finite, check_optimization, check_trainer
from rag_lightning.config.compose import group_choices
from rag_lightning.config.explain import options_of, unknown_key
from rag_lightning.config.fingerprint import flatten
from rag_lightning.config.targets import check_target
from rag_lightning.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def to_plain(config: DictConfig, *, whole: bool = True) -> dict[str, Any]:
    """Resolve interpolations and drop OmegaConf's containers (they must not reach checkpoints).

    Args:
        config: as composed.
        whole: no value may be missing; else a missing one is ``"???"``.

    Raises:
        UserError: for a value that is needed and missing, or is no finite number.
    """
    _refuse_bases(config)
    keys = [str(key) for key in config if key != "hydra"]  # Hydra's own node needs more to be resolved
    try:
        named = {key: _resolved(config, key) for key in keys}
    except OmegaConfBaseException as exception:
        reason = str(exception).splitlines()[0].rpartition("resolving interpolation: ")[2]
        raise UserError(reason, where="configuration", remedy="See --cfg job for the settings there are.") from None
    if whole and (missing := sorted(key for key, value in flatten(named).items() if value == MISSING)):
        raise UserError(f"{missing[0]} is needed", where="command line", remedy=f"Add {missing[0]}=… to the command.")
    check_finite(named)
    return named


def _resolved(config: DictConfig, key: str) -> Any:
    """What stands under a key of the root, as plain values."""
    if OmegaConf.is_missing(config, key):
        return MISSING
    value = config[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _refuse_bases(config: DictConfig) -> None:
    for group, choice in group_choices(config).items():
        if choice.startswith("_"):
            raise UserError(
                f"{group}={choice} only holds what the other options of {group} share",
                where="command line",
                remedy=f"Choose one of: {', '.join(options_of(group))}.",
            )


def parse(model: type[Model], values: dict[str, Any], path: str = "") -> Model:
    """``values`` as an instance of ``model``.

    Raises:
        UserError: naming every unknown key (with the nearest valid one) and every wrong value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(_listed(_sentences(model, error.errors(), path)), where="configuration") from None


def _listed(lines: list[str]) -> str:
    if len(lines) == 1:
        return lines[0].rstrip(".")
    return f"{len(lines)} mistakes\n  " + "\n  ".join(lines)


def _sentences(model: type[BaseModel], problems: Sequence[Any], path: str) -> list[str]:
    """One for each wrong key; what a value might be instead (pydantic lists every case) joined by "or"."""
    lines: list[str] = []
    expected: dict[str, tuple[list[str], Any]] = {}
    for problem in problems:
        location = _keys_only(model, problem["loc"])
        dotted = ".".join([path, *location] if path else location)
        if problem["type"] == "extra_forbidden":
            error = unknown_key(dotted, _fields_at(model, location[:-1]))
            lines.append(f"{error.reason}. {error.remedy}")
        elif problem["type"] == "missing":
            lines.append(f"{dotted} is missing")
        elif problem["type"] == "value_error":  # a sentence of our own
            lines.append(f"{dotted}: {problem['msg'].removeprefix('Value error, ')}")
        else:
            cases, _ = expected.setdefault(dotted, ([], problem["input"]))
            cases.append(_expectation(problem["msg"]))
    for dotted, (cases, given) in expected.items():
        shown = repr(given)
        wanted = " or ".join(dict.fromkeys(cases))
        lines.append(f"{dotted} must be {wanted}, not {shown[:60] + '…' if len(shown) > 60 else shown}")
    return list(dict.fromkeys(lines))


def _expectation(message: str) -> str:
    """What follows "must be", from pydantic's ``Input should be a valid integer, unable to …``."""
    return re.sub(r", (unable to|got) .*", "", message.removeprefix("Input should be "))


def _keys_only(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """The keys of a place, without the names that pydantic gives to the cases of a union."""
    keys: list[str] = []
    inside: type[BaseModel] | None = model
    for part in map(str, location):
        keys.append(part)
        field = inside.model_fields.get(part) if inside is not None else None
        if field is None:
            if inside is None or inside.model_config.get("extra") != "allow":
                break
            return keys
        inside = _model_in(field.annotation)
        if inside is None and "dict" not in str(field.annotation):
            break
    return keys


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _fields_at(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    for part in location:
        field = model.model_fields.get(part)
        model = (_model_in(field.annotation) if field is not None else None) or model
    return list(model.model_fields)


def validate_train(config: DictConfig | dict[str, Any]) -> Any:
    """A :class:`~rag_lightning.config.schema.TrainConfig` whose every key, also in ``_target_`` nodes, is known.

    Raises:
        UserError: with all mistakes found, or for combinations that cannot work.
    """
    from rag_lightning.config.schema import TrainConfig

    plain = to_plain(config) if isinstance(config, DictConfig) else dict(config)
    checked = parse(TrainConfig, plain)  # a misspelt key is told before anything heavy is imported
    from rag_lightning.retention.registry import chosen_methods
    from rag_lightning.tasks.registry import get_task

    task = get_task(checked.task)
    parse(task.options, checked.task, "task")
    if checked.probe:
        from rag_lightning.probe.registry import read_probes

        read_probes(checked.probe)
    chosen_methods(checked.retention)
    check_target("optimizer", checked.optimizer)
    check_trainer_node(checked.trainer)
    check_end(checked.trainer)
    for group, nodes in (("callbacks", checked.callbacks), ("logger", checked.logger)):
        for name, node in (nodes or {}).items():
            check_target(f"{group}.{name}", node)
    schedule = checked.scheduler
    check_optimization(checked.optimizer, schedule.name, schedule.warmup, schedule.options)
    return checked


def check_trainer_node(trainer: dict[str, Any]) -> None:
    """Raise for a key that Lightning's Trainer does not take, or a value that it or the run cannot take."""
    check_target("trainer", trainer)
    parse(TrainerArguments, {key: value for key, value in trainer.items() if value is not None}, "trainer")
    check_trainer(trainer)
