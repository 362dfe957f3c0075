"""What text classification reads and answers in use."""

from typing import Any

from rag_lightning.data.records import Record


def read_text(line: str) -> Record:
    """A line of plain text as a record."""
    return {"text": line}


def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """The label with its probability (or the labels), and the probabilities of all.

    ``cut`` counts the tokens that found no room, if any.
    """
    text = record["text"] if "text" in record else " ".join(record["tokens"])
    given = {"text": text, **{key: value for key, value in prediction.items() if key != "cut"}}
    return {**given, "cut": prediction["cut"]} if prediction["cut"] else given


INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "tokens": {"type": "array", "items": {"type": "string"}, "description": "words, instead of a text"},
    },
    "anyOf": [{"required": ["text"]}, {"required": ["tokens"]}],
    "example": {"text": "Please renew my card for another year."},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "label": {"type": "string"},
        "labels": {"type": "array", "items": {"type": "string"}, "description": "where a text may have several"},
        "confidence": {"type": "number"},
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
        "cut": {"type": "integer", "description": "tokens that found no room"},
    },
    "required": ["text", "scores"],
}
