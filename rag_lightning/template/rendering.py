"""A template as a data module takes it: known by name before any example is read, built once they are."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_lightning.config.inputs import note_input
from rag_lightning.data.records import Record
from rag_lightning.encoding.render import Render, render_plain
from rag_lightning.template.build import build_render, load_render, needs_embedding
from rag_lightning.template.demonstrations import Embed
from rag_lightning.template.options import TemplateConfig
from rag_lightning.template.pairs import file_of

if TYPE_CHECKING:
    from rag_lightning.rules.ruleset import RuleSet


@dataclass(frozen=True)
class Rendering:
    """How examples become input.

    Attributes:
        fingerprint: of all that decides it beside the training examples.
        render: ``(training records, labels)`` -> the render.
    """

    fingerprint: str
    render: Callable[[Sequence[Record], Sequence[str]], Render]


PLAIN = Rendering("plain", lambda records, labels: render_plain)


def rendering_of(
    config: TemplateConfig, ruleset: "RuleSet", task_name: str, embed: Embed | None, embedder: str
) -> Rendering:
    """The rendering that a configuration asks for.

    Args:
        config: the template.
        ruleset: gives descriptions and hints.
        task_name: as in ``task=…``.
        embed: texts to vectors, for the nearest demonstrations.
        embedder: fingerprint of the model that embeds.
    """
    parts: dict[str, Any] = {
        "template": config.model_dump(mode="json", exclude={"name", "tasks"}),
        "rules": ruleset.fingerprint,
        "context": _content(config.context.path),
        "embedder": embedder if needs_embedding(config) else "",
    }
    name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]
    return Rendering(name, lambda records, labels: build_render(config, ruleset, task_name, labels, records, embed)[0])


def saved_rendering(saved: dict[str, Any] | None, embed: Embed | None = None) -> Rendering:
    """The rendering that was saved with a model."""
    if saved is None:
        return PLAIN
    render = load_render(saved, embed)
    name = hashlib.sha256(json.dumps(saved, sort_keys=True).encode()).hexdigest()[:20]
    return Rendering(name, lambda records, labels: render)


def _content(path: str | None) -> str:
    if path is None or not file_of(path).is_file():  # a missing file is told of when it is read
        return ""
    note_input(file_of(path))
    with file_of(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
