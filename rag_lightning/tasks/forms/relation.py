"""What relation extraction reads and answers in use."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.nested_values import read_mention
from rag_lightning.data.offsets import check_offsets
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError
from rag_lightning.metrics.relations import OTHER, undirected
from rag_lightning.tasks.entity_marks import SIDES, read_tagged, with_marks

FIRST_TO_SECOND = re.compile(r"\(\s*(?:e1\s*,\s*e2|first\s*,\s*second)\s*\)$")
SECOND_TO_FIRST = re.compile(r"\(\s*(?:e2\s*,\s*e1|second\s*,\s*first)\s*\)$")


class RelationOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "relation"
    labels: list[str] | None = Field(None, description="all labels, with directions; null: those of the training data")
    other: str = Field(OTHER, description="the label for none of the relations, which the F1 scores leave out")
    types: dict[str, str] = Field(
        default_factory=dict, description="entity types in words, for {typed}; others stand there in lower case"
    )
    cues: Literal["between", "text"] = Field(
        "between", description="what rules read: from the one entity to the other, both included, or the whole text"
    )


def complete(record: Record, options: RelationOptions) -> Record:
    """A record of ``text``, ``first`` and ``second`` with all that follows from them.

    Raises:
        UserError: for an entity that is given without its place and does not stand in the text once.
    """
    where = str(record.get("source", "an example"))
    made = with_marks({**record, **{side: _placed(side, record, where) for side in SIDES}}, options.types)
    if options.cues == "between":
        made["stretch"] = [min(made[side]["start"] for side in SIDES), max(made[side]["end"] for side in SIDES)]
    return made


def _placed(side: str, record: Record, where: str) -> dict[str, Any]:
    """An entity with its place; one that is given by its text alone has to stand there once."""
    given, text = record[side], record["text"]
    if not isinstance(given, str):
        return dict(given)
    places = [match.start() for match in re.finditer(re.escape(given), text)] if given.strip() else []
    if len(places) == 1:
        return {"start": places[0], "end": places[0] + len(given), "text": given}
    times = "several times" if places else "nowhere"
    start, end = (places[0], places[0] + len(given)) if places else (0, 3)
    raise UserError(
        f"the {side} entity {shorten(given, 40)!r} stands {times} in the text",
        where=where,
        remedy=f'Give its place, as in "{side}": {{"start": {start}, "end": {end}}}; the end is exclusive.',
    )


def is_directed(label: str) -> bool:
    """Whether a label says which entity comes first in the relation."""
    return undirected(label) != label


def arguments(label: str) -> tuple[str, str]:
    """The sides in the order of the relation: (second, first) for ``Cause-Effect(e2,e1)``."""
    return ("second", "first") if SECOND_TO_FIRST.search(label) else ("first", "second")


def read_text(line: str, options: RelationOptions) -> Record:
    """A line of plain text in which ``<e1>…</e1>`` and ``<e2>…</e2>`` (or ``<e1:PER>``) mark the entities."""
    return complete(read_tagged(line), options)


def read_fields(given: dict[str, Any], where: str, options: RelationOptions) -> Record:
    """A JSON object with ``text``, ``first`` and ``second``, or with a ``text`` that has the tags.

    Raises:
        UserError: for another form, or an entity that is not in the text.
    """
    text = given.get("text")
    if not isinstance(text, str) or (any(given.get(side) is None for side in SIDES) and "<e1" not in text):
        raise UserError(
            "an input needs text, first and second",
            where=where,
            remedy='As {"text": "Ada lived in Ghent.", "first": {"start": 0, "end": 3}, "second": {"start": 13, '
            '"end": 18}}, or {"text": "<e1>Ada</e1> lived in <e2>Ghent</e2>."}.',
        )
    if any(given.get(side) is None for side in SIDES):
        return complete(read_tagged(text, where), options)
    config = DataConfig(name="input", format="jsonl")
    record = {"text": text, **{side: read_mention(given[side], config, where) for side in SIDES}}
    return complete({**check_offsets(record, where), "source": where}, options)


def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """The label, its probability, those of all labels, and the mentions in the order that the label gives them.

    ``cut`` counts the tokens that found no room, if any.
    """
    label = prediction["label"]
    given = {
        **{key: record[key] for key in ("text", *SIDES)},
        "label": label,
        "relation": undirected(label),
        "arguments": [record[f"{side}_text"] for side in arguments(label)],
        **{key: prediction[key] for key in ("confidence", "scores")},
    }
    return {**given, "cut": prediction["cut"]} if prediction["cut"] else given


_MENTION = {
    "description": "an entity: its text, if that stands there once, or its place",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "start": {"type": "integer", "minimum": 0},
                "end": {"type": "integer", "minimum": 0, "description": "exclusive"},
                "type": {"type": "string"},
            },
            "required": ["start", "end"],
        },
    ],
}
INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {
            "type": "string",
            "description": "may mark them itself: <e1>Ada</e1> lived in <e2>Ghent</e2>.",
        },
        "first": _MENTION,
        "second": _MENTION,
    },
    "required": ["text"],
    "example": {"text": "Ada Lovelace lived in London.", "first": "Ada Lovelace", "second": "London"},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "first": {"type": "object"},
        "second": {"type": "object"},
        "label": {"type": "string"},
        "relation": {"type": "string"},
        "arguments": {"type": "array", "items": {"type": "string"}},
        "confidence": {"type": "number"},
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
        "cut": {"type": "integer", "description": "tokens that found no room"},
    },
    "required": ["text", "label", "confidence"],
}
