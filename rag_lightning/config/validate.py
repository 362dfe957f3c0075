"""Check a composed configuration whole, before anything is built."""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from rag_lightning.config.explain import unknown_key
from rag_lightning.config.targets import check_target
from rag_lightning.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def to_plain(config: DictConfig) -> dict[str, Any]:
    """Resolve interpolations and drop OmegaConf's containers (they must not reach checkpoints)."""
    config = DictConfig({key: config._get_node(key) for key in config if key != "hydra"})
    try:
        missing = OmegaConf.missing_keys(config)
        if missing:
            key = sorted(missing)[0]
            raise UserError(f"{key} is needed", where="command line", remedy=f"Add {key}=… to the command.")
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as exception:
        raise UserError(str(exception).splitlines()[0], where="configuration") from None
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def parse(model: type[Model], values: dict[str, Any], path: str = "") -> Model:
    """``values`` as an instance of ``model``.

    Raises:
        UserError: naming every unknown key (with the nearest valid one) and every wrong value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_sentence(model, problem, path) for problem in error.errors()]
        unique = list(dict.fromkeys(lines))
        raise UserError(_listed(unique), where="configuration") from None


def _listed(lines: list[str]) -> str:
    if len(lines) == 1:
        return lines[0].rstrip(".")
    return f"{len(lines)} mistakes\n  " + "\n  ".join(lines)


def _sentence(model: type[BaseModel], problem: Any, path: str) -> str:
    location: tuple[Any, ...] = tuple(problem["loc"])
    dotted = ".".join([path, *map(str, location)] if path else list(map(str, location)))
    if problem["type"] == "extra_forbidden":
        error = unknown_key(dotted, _fields_at(model, location[:-1]))
        return f"{error.reason}. {error.remedy}"
    if problem["type"] == "missing":
        return f"{dotted} is missing"
    shown = repr(problem["input"])
    return f"{dotted}: {problem['msg']}, not {shown[:60] + '…' if len(shown) > 60 else shown}"


def _fields_at(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if inner:
            model = inner[0]
    return list(model.model_fields)


def validate_train(config: DictConfig | dict[str, Any]) -> Any:
    """A :class:`~rag_lightning.config.schema.TrainConfig` whose every key, also in ``_target_`` nodes, is known.

    Raises:
        UserError: with all mistakes found, or for combinations that cannot work.
    """
    from rag_lightning.config.schema import TrainConfig

    plain = to_plain(config) if isinstance(config, DictConfig) else dict(config)
    checked = parse(TrainConfig, plain)  # a misspelt key is told before anything heavy is imported
    from rag_lightning.tasks.registry import get_task

    task = get_task(checked.task)
    parse(task.options, checked.task, "task")
    check_target("optimizer", checked.optimizer)
    check_target("trainer", checked.trainer)
    for group, nodes in (("callbacks", checked.callbacks), ("logger", checked.logger)):
        for name, node in (nodes or {}).items():
            check_target(f"{group}.{name}", node)
    _check_numbers(checked.optimizer, checked.trainer)
    return checked


def _check_numbers(optimizer: dict[str, Any], trainer: dict[str, Any]) -> None:
    for path, node in (("optimizer", optimizer), ("trainer", trainer)):
        for key, value in node.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{path}.{key} is {value}", where="configuration", remedy="Give a finite number.")
    lr = optimizer.get("lr")
    if isinstance(lr, str) or (lr is not None and lr <= 0):
        raise UserError(f"optimizer.lr is {lr!r}", where="configuration", remedy="Give a number above 0, as 3e-5.")
    if trainer.get("max_epochs") in (None, -1) and trainer.get("max_steps") in (None, -1):
        raise UserError(
            "the training has no end", where="configuration", remedy="Set trainer.max_epochs or trainer.max_steps."
        )
