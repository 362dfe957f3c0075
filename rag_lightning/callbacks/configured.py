"""Callbacks that the configuration names, as ``callbacks=early_stopping`` does."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.callbacks import Callback

from rag_lightning.config.instantiate import instantiate
from rag_lightning.tasks.task import Task

_SMALL_IS_GOOD = ("loss", "perplexity")


def configured(nodes: Mapping[str, Mapping[str, Any]] | None, task: Task) -> list[Callback]:
    """The callbacks; what they watch and in which direction is the task's to say where they leave it open."""
    return [instantiate(_settled(dict(node), task)) for node in (nodes or {}).values()]


def _settled(node: dict[str, Any], task: Task) -> dict[str, Any]:
    """``monitor: null`` is the task's headline on validation, ``mode: null`` the direction that is better."""
    headline = f"validation/{task.headline}"
    if "monitor" in node and node["monitor"] is None:
        node["monitor"] = headline
    if "mode" in node and node["mode"] is None:
        watched = str(node.get("monitor"))
        lower_is_better = task.lower_is_better if watched == headline else watched.endswith(_SMALL_IS_GOOD)
        node["mode"] = "min" if lower_is_better else "max"
    return node
