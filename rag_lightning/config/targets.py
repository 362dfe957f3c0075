"""Nodes with a ``_target_``: their keys must be arguments of the class they name."""

import importlib
import inspect
from fnmatch import fnmatchcase
from typing import Any

from rag_lightning.config.explain import unknown_key
from rag_lightning.config.instantiate import trusted_targets
from rag_lightning.errors import UserError, nearest

HYDRA_KEYS = {"_target_", "_partial_", "_convert_", "_args_", "_recursive_"}
# Classes that pass their **kwargs on: the function that finally takes them.
PASSED_ON = {
    "pytorch_lightning.loggers.WandbLogger": "wandb.init",
    "pytorch_lightning.loggers.TensorBoardLogger": "torch.utils.tensorboard.SummaryWriter",
}
# What a group's objects are.
KINDS = {
    "optimizer": "torch.optim.Optimizer",
    "trainer": "pytorch_lightning.Trainer",
    "callbacks": "pytorch_lightning.Callback",
    "logger": "pytorch_lightning.loggers.Logger",
}


def check_target(path: str, node: dict[str, Any]) -> None:
    """Raise for a ``_target_`` that cannot be found, is not of the group's kind, or keys that it does not take.

    Args:
        path: the node's place in the configuration, for messages.
        node: the plain mapping with ``_target_``.
    """
    group = path.partition(".")[0]
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        raise UserError(
            f"{path} needs a _target_, the class to build", where="configuration", remedy=f"Choose one with {group}=…."
        )
    name = node["_target_"]
    if not any(fnmatchcase(name, pattern) for pattern in trusted_targets()):
        raise UserError(
            f"{path}._target_: {name!r} is not of a trusted package ({', '.join(trusted_targets())})",
            where="configuration",
            remedy="For your own classes set the environment variable RAG_LIGHTNING_TRUST=my_package.*.",
        )
    target = _find(path, name)
    if not (inspect.isclass(target) and issubclass(target, _find(path, KINDS[group]))):
        raise UserError(
            f"{path}._target_: {name!r} is no {KINDS[group]}",
            where="configuration",
            remedy=f"Choose one with {group}=….",
        )
    _check_keys(path, node, target)


def _check_keys(path: str, node: dict[str, Any], target: Any) -> None:
    parameters = inspect.signature(target).parameters
    names = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        if node["_target_"] not in PASSED_ON:
            return
        names += list(inspect.signature(_find(path, PASSED_ON[node["_target_"]])).parameters)
    valid = sorted({*names} - {"self", "params", "optimizer"})
    for key in node:
        if key not in HYDRA_KEYS and key not in valid:
            raise unknown_key(f"{path}.{key}", valid)


def _find(path: str, dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        inside = importlib.import_module(module)
        return getattr(inside, name)
    except (ImportError, AttributeError, ValueError) as error:
        there = [n for n in dir(inside) if not n.startswith("_")] if isinstance(error, AttributeError) else []
        close = nearest(name, there)
        raise UserError(
            f"{path}._target_: {dotted!r} cannot be found",
            where="configuration",
            remedy=f"Did you mean {module}.{close[0]}?"
            if close
            else "Check the spelling, or install the package it belongs to.",
        ) from None
