"""What a task reads and answers in use, by the task's name: ``tasks/forms/<name>.py``. Needs no torch."""

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rag_lightning.data.records import Record


@dataclass(frozen=True)
class Form:
    """The parts of a :class:`rag_lightning.tasks.task.Task` that use needs; see there."""

    read_text: Callable[[str], Record]
    read_fields: Callable[[dict[str, Any], str], Record] | None
    answer: Callable[[Record, Any], dict[str, Any]]


def form_of(task: str, options: Any) -> Form | None:
    """The form of a task; None if it has none of its own.

    Args:
        options: the task's, for forms that depend on them.
    """
    name = f"{__package__}.{task}"
    if not task.isidentifier() or importlib.util.find_spec(name) is None:
        return None
    module = importlib.import_module(name)
    if not hasattr(module, "read_text"):  # only described
        return None

    def bound(function: Any) -> Any:
        takes = function is not None and "options" in inspect.signature(function).parameters
        return partial(function, options=options) if takes else function

    return Form(bound(module.read_text), bound(getattr(module, "read_fields", None)), module.answer)


def described(task: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a task reads and answers, as JSON schemas with examples; a text and anything where it says nothing."""
    name = f"{__package__}.{task}"
    found = importlib.util.find_spec(name) if task.isidentifier() else None
    module = importlib.import_module(name) if found else None
    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    anything: dict[str, Any] = {"type": "object", "properties": {}}
    return getattr(module, "INPUT", text), getattr(module, "ANSWER", anything)
