"""All that a template needs to render an example, as plain data: saved with the model, and what its name is made of."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from rag_lightning.template.demonstrations import Demonstration
from rag_lightning.template.options import TemplateConfig
from rag_lightning.template.retrieval import Entry
from rag_lightning.template.wording import LabelWords

VERSION = 1  # of the rendered form: raise it when the same recipe renders differently


@dataclass(frozen=True)
class Recipe:
    """A template with everything that fills its slots, except the example and the hits in it.

    Attributes:
        config: the template's settings.
        main: the field whose words the task is about: tokens (each gets a label), text, or "" where there are
            several, as in pairs.
        description: the task in words, for ``{description}``.
        labels: label -> its name and description, in the order of the labels.
        rules: fingerprint of the rules that find the hints; empty if the template shows none.
        pool: examples that ``{examples}`` may show; for a fixed choice only those that are shown.
        terms: term -> text, for ``{context}``; ``entries`` is what is looked up there by similarity instead.
    """

    config: TemplateConfig
    main: str
    description: str = ""
    labels: dict[str, LabelWords] = field(default_factory=dict)
    rules: str = ""
    pool: tuple[Demonstration, ...] = ()
    terms: dict[str, str] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Twenty hexadecimal digits of all that changes the rendered form."""
        content = {**self.to_json(), "version": VERSION}
        content["config"] = {**content["config"], "name": "", "tasks": None, "context": _without_path(content)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready data, for a file beside the model."""
        return {
            "config": self.config.model_dump(mode="json"),
            "main": self.main,
            "description": self.description,
            "labels": {label: asdict(words) for label, words in self.labels.items()},
            "rules": self.rules,
            "pool": [asdict(each) for each in self.pool],
            "terms": self.terms,
            "entries": [asdict(each) for each in self.entries],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Recipe":
        """What :meth:`to_json` gave."""
        return cls(
            config=TemplateConfig.model_validate(saved["config"]),
            main=saved["main"],
            description=saved["description"],
            labels={label: LabelWords(**words) for label, words in saved["labels"].items()},
            rules=saved["rules"],
            pool=tuple(Demonstration(**each) for each in saved["pool"]),
            terms=saved["terms"],
            entries=tuple(Entry(**each) for each in saved["entries"]),
        )


def _without_path(content: dict[str, Any]) -> dict[str, Any]:
    return {**content["config"]["context"], "path": None}  # its content counts, as ``terms`` or ``entries``
