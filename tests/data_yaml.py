"""The YAML of the group ``data`` as Hydra composes them, without Hydra."""

from pathlib import Path
from typing import Any

import yaml

from rag_lightning.data.reading import Reading

CONF = Path(__file__).parents[1] / "conf" / "data"
# What tasks read, as the tasks themselves say it.
TEXTS = Reading(fields=("text", "label"), labels=("label",))
MANY_LABELS = Reading(fields=("text", "label", "labels"), labels=("label", "labels"))
PAIRS = Reading(fields=("first", "second", "label", "score"), labels=("label", "score"))
RELATIONS = Reading(fields=("text", "first", "second", "label"), labels=("label",))
QUESTIONS = Reading(fields=("question", "context", "answers"), labels=("answers",))
WRITING = Reading(fields=("text", "target"), labels=("target",))
DIALOGUES = Reading(fields=("turns", "target"), optional=("target",))
RUNNING_TEXT = Reading(fields=("text",))


def composed(name: str) -> dict[str, Any]:
    """``conf/data/<name>.yaml`` over the keys that all have."""
    own = yaml.safe_load((CONF / f"{name}.yaml").read_text("utf-8"))
    base = yaml.safe_load((CONF / "_base.yaml").read_text("utf-8"))
    return {**base, **{key: value for key, value in own.items() if key != "defaults"}}
