"""What a way of tuning is made of, and all ways there are: a module of this package with a ``WAY`` is one."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from rag_lightning.errors import UserError
from rag_lightning.model.interface import INTERFACES, families, n_layers
from rag_lightning.tuning.freeze import FreezeSummary, check_frozen_layers, freeze, summary_of
from rag_lightning.tuning.options import TuningConfig


@dataclass(frozen=True)
class Setting:
    """What is known of a run before anything is loaded.

    Attributes:
        architecture: the backbone's config; ``head`` is the output kind.
        frozen_layers: of the layers, the lowest that never learn.
        optimizer, trainer: their nodes.
    """

    tuning: TuningConfig
    architecture: PretrainedConfig
    head: str
    frozen_layers: int
    optimizer: dict[str, Any]
    trainer: dict[str, Any]

    def needs_layers(self, key: str) -> None:
        """Raise a UserError where the setting ``key`` has no layer to work on."""
        kind = self.architecture.model_type
        if kind not in INTERFACES:
            raise UserError(
                f"The layers of a model of type '{kind}' are not known",
                where=f"tuning.{key}",
                remedy=f"Choose tuning=full, or a model of one of these families: {', '.join(families())}.",
            )
        self.needs_learning_layer(key)

    def needs_learning_layer(self, key: str) -> None:
        """Raise a UserError where all layers are frozen, so that the setting ``key`` would do nothing."""
        if self.frozen_layers and self.frozen_layers == n_layers(self.architecture, self.head):
            raise UserError(
                f"tuning.{key} is about layers that learn, and all layers are frozen",
                where="tuning.frozen_layers",
                remedy=f"Set tuning.frozen_layers=0, or leave tuning.{key} at its default.",
            )

    def skeleton(self) -> PreTrainedModel | None:
        """The backbone without weights; None for a type that transformers does not know itself."""
        if type(self.architecture) not in AutoModel._model_mapping:
            return None
        with torch.device("meta"):
            backbone: PreTrainedModel = AutoModel.from_config(self.architecture)
        return backbone


@dataclass(frozen=True)
class Way:
    """A way of tuning, one module.

    Attributes:
        wanted: whether the settings ask for it.
        check: raises a UserError for a combination that cannot work; called before weights are loaded.
        prepare: ``(network, tuning, head_is_new, seed)``: changes in place what learns, after loading and before
            anything is added to the network.
    """

    wanted: Callable[[TuningConfig], bool]
    check: Callable[[Setting], None]
    prepare: Callable[[PreTrainedModel, TuningConfig, bool, int], None] | None = None


@cache
def ways() -> tuple[Way, ...]:
    """All ways there are, in the order of their modules' names."""
    package = importlib.import_module("rag_lightning.tuning")
    modules = (importlib.import_module(f"{package.__name__}.{each.name}") for each in _modules(package))
    return tuple(way for module in modules if isinstance(way := getattr(module, "WAY", None), Way))


def _modules(package: Any) -> list[pkgutil.ModuleInfo]:
    return sorted(pkgutil.iter_modules(package.__path__), key=lambda each: each.name)


def check_tuning(
    tuning: TuningConfig, architecture: PretrainedConfig, head: str, optimizer: dict[str, Any], trainer: dict[str, Any]
) -> int:
    """Check all settings against the backbone's config alone.

    Returns:
        The number of layers that never learn.

    Raises:
        UserError: for what cannot work, or would do nothing.
    """
    frozen_layers = check_frozen_layers(architecture, tuning.frozen_layers, head)
    setting = Setting(tuning, architecture, head, frozen_layers, optimizer, trainer)
    for way in ways():
        if way.wanted(tuning):
            way.check(setting)
    return frozen_layers


def prepare(
    network: PreTrainedModel, tuning: TuningConfig, frozen_layers: int, *, head_is_new: bool, seed: int
) -> FreezeSummary:
    """Decide which parameters learn; in place, after loading and before anything is added to the network.

    Args:
        network: with its head.
        frozen_layers: from :func:`check_tuning`.
        head_is_new: whether the head came without pretrained weights, so that all of it has to learn.
        seed: of an adapter's first weights.
    """
    counted = tuning.model_copy(update={"frozen_layers": frozen_layers})  # a number, also for half
    for way in ways():
        if way.wanted(tuning) and way.prepare is not None:
            way.prepare(network, counted, head_is_new, seed)
    freeze(network, frozen_layers)
    return summary_of(network, frozen_layers)
