"""Retention methods by name: a new one is ``retention/methods/<name>.py`` with a ``METHOD``, and a YAML."""

import importlib
import pkgutil
from typing import Any

from rag_lightning.config.validate import parse
from rag_lightning.errors import UserError, nearest
from rag_lightning.retention import methods
from rag_lightning.retention.method import Method

Chosen = dict[str, tuple[Method, Any]]


def method_names() -> list[str]:
    """All that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(methods.__path__))


def chosen_methods(retention: dict[str, dict[str, Any]]) -> Chosen:
    """The methods that a configuration's ``retention`` node names, each with its checked options.

    Raises:
        UserError: for an unknown method, key or value.
    """
    known = method_names()
    chosen: Chosen = {}
    for name, values in retention.items():
        if name not in known:
            close = nearest(name, known)
            remedy = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
            raise UserError(f"no retention method named {name!r}", where=f"retention.{name}", remedy=remedy)
        method: Method = importlib.import_module(f"{methods.__name__}.{name}").METHOD
        chosen[name] = (method, parse(method.options, dict(values), f"retention.{name}"))
    return chosen
