"""Tasks by name: ``tasks/<name>.py`` with a ``TASK`` is all that a new one needs, beside its YAML."""

import importlib
import importlib.util
from typing import Any

from rag_lightning.errors import UserError, nearest
from rag_lightning.tasks.task import Task


def get_task(options: dict[str, Any]) -> Task:
    """The task that a configuration's ``task`` node names.

    Raises:
        UserError: if there is none of that name.
    """
    name = str(options.get("name", ""))
    module = f"rag_lightning.tasks.{name}"
    if name.isidentifier() and importlib.util.find_spec(module) is not None:
        task = getattr(importlib.import_module(module), "TASK", None)
        if isinstance(task, Task):
            return task
    known = task_names()
    close = nearest(name, known)
    remedy = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
    raise UserError(f"no task named {name!r}", where="task.name", remedy=remedy)


def task_names() -> list[str]:
    """The tasks that the configuration offers."""
    from rag_lightning.config.paths import conf_dir

    return sorted(path.stem for path in (conf_dir() / "task").glob("*.yaml"))
