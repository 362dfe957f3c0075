"""Probes by name, and the ones that a configuration asks for."""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from transformers import PretrainedConfig

from rag_lightning.config.validate import parse
from rag_lightning.errors import UserError, nearest
from rag_lightning.probe.probe import VECTORS, Probe, ProbeOptions


class CommonOptions(BaseModel):
    """What holds for all probes of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: int | None = Field(None, ge=1, description="optimizer steps between measurements during training")
    skip: bool = Field(False, description="leave out what cannot be measured on this backbone")


@dataclass(frozen=True)
class Asked:
    """A probe that is asked for, with its options."""

    probe: Probe
    options: ProbeOptions


@dataclass(frozen=True)
class Probes:
    """All that a configuration asks for.

    Attributes:
        asked: in the order of the configuration.
        every: optimizer steps between measurements during training; None: none.
        skip: leave out what cannot be measured, which ``notes`` then tell.
    """

    asked: tuple[Asked, ...] = ()
    every: int | None = None
    skip: bool = False
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.asked)

    def head(self, architecture: PretrainedConfig) -> str:
        """The head with which all of them can be measured on one network."""
        heads = (each.probe.head(architecture) for each in self.asked)
        return next((head for head in heads if head != VECTORS), VECTORS)


def get_probe(name: str) -> Probe:
    """The probe of that name.

    Raises:
        UserError: if there is none.
    """
    module = f"{__package__}.{name}"
    if name.isidentifier() and not name.startswith("_") and importlib.util.find_spec(module) is not None:
        probe = getattr(importlib.import_module(module), "PROBE", None)
        if isinstance(probe, Probe):
            return probe
    known = [*probe_names(), *CommonOptions.model_fields]
    close = nearest(name, known)
    remedy = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
    raise UserError(f"no probe named {name!r}", where=f"probe.{name}", remedy=remedy)


def probe_names() -> list[str]:
    """The modules of this package that hold a probe."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    return [name for name in names if isinstance(getattr(_module(name), "PROBE", None), Probe)]


def _module(name: str) -> Any:
    return importlib.import_module(f"{__package__}.{name}")


def read_probes(config: Mapping[str, Any]) -> Probes:
    """The probes that the node ``probe`` names.

    Raises:
        UserError: for an unknown probe, an unknown option or a wrong value.
    """
    common = parse(CommonOptions, {k: v for k, v in config.items() if k in CommonOptions.model_fields}, "probe")
    asked = []
    for name, values in config.items():
        if name in CommonOptions.model_fields:
            continue
        probe = get_probe(name)
        if not isinstance(values, Mapping):
            raise UserError(
                f"probe.{name} is {values!r}", where="configuration", remedy=f"Choose probe={name}, or [{name},…]."
            )
        asked.append(Asked(probe, parse(probe.options, dict(values), f"probe.{name}")))
    if common.every is not None and asked and not any(each.probe.cheap for each in asked):
        quick = ", ".join(name for name in probe_names() if get_probe(name).cheap)
        raise UserError(
            "none of these probes is quick enough to be measured during training",
            where="probe.every",
            remedy=f"Add one of {quick}, or set probe.every=null.",
        )
    return Probes(tuple(asked), common.every, common.skip)


def check_probes(probes: Probes, architecture: PretrainedConfig, folder: Path, *, random_init: bool = False) -> Probes:
    """The probes that this backbone can be asked.

    Args:
        folder: of the model, of whose weights the names are read at most.
        random_init: the backbone's weights are drawn anew.

    Raises:
        UserError: if one of them cannot be measured and ``probe.skip`` is not set, or none is left.
    """
    if not probes:
        return probes
    if random_init:
        raise UserError(
            "a model with random weights knows nothing that could be kept",
            where="model.random_init",
            remedy="Set probe=none, or model.random_init=false.",
        )
    able, notes = [], []
    for each in probes.asked:
        try:
            each.probe.check(architecture, folder, each.options)
        except UserError as mistake:
            if not probes.skip:
                raise
            notes.append(f"Not measured: {each.probe.name} ({mistake.reason}).")
        else:
            able.append(each)
    return replace(probes, asked=tuple(able), notes=tuple(notes))
