"""What the code says of the keys of conf/: descriptions and the values that are taken, by dotted key."""

import importlib
import inspect
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rag_lightning.config import schema
from rag_lightning.retention.registry import method_names
from rag_lightning.rules.schema import RulesSpec
from rag_lightning.studies.options import ComparisonConfig, SequenceConfig, StudyConfig
from rag_lightning.tasks.registry import get_task, task_names

NODES: dict[str, type[BaseModel]] = {
    "rules": RulesSpec, "study": StudyConfig, "comparison": ComparisonConfig, "sequence": SequenceConfig,
}  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a field's declaration says."""

    description: str
    takes: str


def of_model(model: type[BaseModel], prefix: str) -> dict[str, Meaning]:
    """Dotted key -> meaning, for all fields of a model and of the models in it."""
    found: dict[str, Meaning] = {}
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        found[key] = Meaning(field.description or "", takes(field))
        for inner in _models_in(field.annotation):
            found |= of_model(inner, f"{key}.")
    return found


def of_training() -> dict[str, Meaning]:
    """All keys of a training, also those of every task, retention method and probe."""
    from rag_lightning.probe.registry import CommonOptions, get_probe, probe_names

    found = of_model(schema.TrainConfig, "")
    for node, model in NODES.items():
        found |= of_model(model, f"{node}.")
    for name in task_names():
        found |= {f"{name}:{key}": each for key, each in of_model(get_task({"name": name}).options, "task.").items()}
    for name in method_names():
        method = importlib.import_module(f"rag_lightning.retention.methods.{name}").METHOD
        found |= of_model(method.options, f"retention.{name}.")
    found |= of_model(CommonOptions, "probe.")
    for name in probe_names():
        found |= of_model(get_probe(name).options, f"probe.{name}.")
    return found


def of_command(name: str) -> dict[str, Meaning]:
    """The keys of another command than train, whose model is ``<Name>Config`` in the schema or in its own options."""
    wanted = "".join(part.capitalize() for part in name.split("_")) + "Config"
    for module in ("rag_lightning.config.schema", f"rag_lightning.{name}.options", f"rag_lightning.{name}.command"):
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            continue
        models = {each.lower(): model for each, model in vars(found).items() if inspect.isclass(model)}
        for candidate in (wanted, f"{name.capitalize()}Command"):
            model = models.get(candidate.lower())
            if model is not None and issubclass(model, BaseModel):
                return of_model(model, "")
    return {}


def takes(field: FieldInfo) -> str:
    """The values that a field takes, in words: ``none | median``, ``number from 0 to 1``."""
    words = list(dict.fromkeys(_kinds(field.annotation)))
    bounds = _bounds(field)
    numbers = [word for word in words if word in ("number", "whole number")]
    return " | ".join(f"{word} {bounds}".strip() if word in numbers else word for word in words)


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = ((sign, getattr(each, name, None)) for each in field.metadata for name, sign in signs.items())
    return ", ".join(f"{sign} {limit}" for sign, limit in limits if limit is not None)


def _kinds(annotation: Any) -> Iterator[str]:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        yield from (str(value).lower() if isinstance(value, bool) else str(value) for value in inner)
    elif origin in (typing.Union, types.UnionType):
        for each in inner:
            yield from _kinds(each)
    elif origin is typing.Annotated:
        yield from _kinds(inner[0])
    elif origin in (list, tuple, set, frozenset):
        yield "list"
    elif origin is dict or annotation is dict or (inspect.isclass(annotation) and issubclass(annotation, BaseModel)):
        yield "keys below it"
    else:
        names = {bool: "true | false", int: "whole number", float: "number", str: "text", type(None): "null"}
        yield names.get(annotation, "text" if inspect.isclass(annotation) else "any")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models of a field and of the cases of a union; not those in lists and mappings, whose keys are the user's."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        for each in typing.get_args(annotation):
            yield from _models_in(each)
