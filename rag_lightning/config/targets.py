"""Nodes with a ``_target_``: their keys must be arguments of the class they name."""

import inspect
from typing import Any

from rag_lightning.config.explain import unknown_key
from rag_lightning.errors import UserError

HYDRA_KEYS = {"_target_", "_partial_", "_convert_", "_args_", "_recursive_"}
# Classes that pass their **kwargs on: the function that finally takes them.
PASSED_ON = {"pytorch_lightning.loggers.WandbLogger": "wandb.init"}
# WandbLogger(reinit=…) and the like are wandb's business; what Lightning adds to a class by mixins is not listed.


def check_target(path: str, node: dict[str, Any], ours: frozenset[str] = frozenset()) -> None:
    """Raise for a ``_target_`` that cannot be found or keys it does not take.

    Args:
        path: the node's place in the configuration, for messages.
        node: the plain mapping with ``_target_``.
        ours: further keys that are taken out before the class is called.
    """
    if "_target_" not in node:
        raise UserError(
            f"{path} needs a _target_", where="configuration", remedy=f"Choose one of conf/{path.split('.')[0]}/."
        )
    target = _find(path, node["_target_"])
    parameters = inspect.signature(target).parameters
    names = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        if node["_target_"] not in PASSED_ON:
            return
        names += list(inspect.signature(_find(path, PASSED_ON[node["_target_"]])).parameters)
    valid = sorted({*names, *ours} - {"self", "params", "optimizer"})
    for key in node:
        if key not in HYDRA_KEYS and key not in valid:
            raise unknown_key(f"{path}.{key}", valid)


def _find(path: str, dotted: str) -> Any:
    from hydra.utils import get_object

    try:
        return get_object(dotted)
    except Exception as exception:
        raise UserError(
            f"{path}._target_: {dotted!r} cannot be found ({str(exception).splitlines()[0]})",
            where="configuration",
            remedy="Check the spelling, or install the package it belongs to.",
        ) from None
