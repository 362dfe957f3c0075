"""What the matching of two texts reads and answers in use."""

import json
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError

BETWEEN = "|||"  # the two texts of a line


def text_of(record: Record) -> str:
    """Both texts of a pair as rules read them; no hit reaches over the line between."""
    return f"{record['first']}\n{record['second']}"


def read_text(line: str) -> Record:
    """Two texts with ``|||`` between them, or a JSON object with ``first`` and ``second``.

    Raises:
        UserError: for another form.
    """
    if line.lstrip().startswith("{"):
        try:
            given = json.loads(line)
        except ValueError:
            given = None
        if isinstance(given, dict):
            return read_fields(given, shorten(line))
    parts = [part.strip() for part in line.split(BETWEEN)]
    if len(parts) != 2:
        raise _no_pair(shorten(line))
    return read_fields({"first": parts[0], "second": parts[1]}, shorten(line))


def read_fields(given: dict[str, Any], where: str) -> Record:
    """The pair of an object with ``first`` and ``second``.

    Raises:
        UserError: if one of them is missing.
    """
    first, second = given.get("first"), given.get("second")
    if not isinstance(first, str) or not isinstance(second, str):
        raise _no_pair(where)
    record = {"first": first, "second": second}
    return {**record, "text": text_of(record)}


def _no_pair(where: str) -> UserError:
    return UserError(
        "two texts are needed",
        where=where,
        remedy=f'Write FIRST {BETWEEN} SECOND, or {{"first": "…", "second": "…"}} in a line of a .jsonl file.',
    )


def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """The texts, and the label with its probability or the score; ``cut`` counts tokens that found no room, if any."""
    shown = {key: value for key, value in prediction.items() if key in ("label", "confidence", "scores", "score")}
    given = {"first": record["first"], "second": record["second"], **shown}
    return {**given, "cut": prediction["cut"]} if prediction["cut"] else given


INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"first": {"type": "string"}, "second": {"type": "string"}},
    "required": ["first", "second"],
    "example": {"first": "The shop is closed on Mondays.", "second": "On Monday you cannot buy anything there."},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "first": {"type": "string"},
        "second": {"type": "string"},
        "label": {"type": "string"},
        "confidence": {"type": "number"},
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
        "score": {"type": "number", "description": "where pairs have a number, or a cosine, instead of a label"},
        "cut": {"type": "integer", "description": "tokens that found no room"},
    },
    "required": ["first", "second"],
}
