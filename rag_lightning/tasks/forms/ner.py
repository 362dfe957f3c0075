"""What named-entity recognition reads and answers in use."""

from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.tasks.spans import tags_to_spans, words_with_offsets
from rag_lightning.tasks.tag_schemes import repair_iob2


def entities_of(tokens: list[str], tags: list[str], confidence: list[float] | None) -> list[dict[str, Any]]:
    found = []
    for start, end, name in tags_to_spans(tags):
        entity: dict[str, Any] = {"start": start, "end": end, "type": name, "text": " ".join(tokens[start:end])}
        if confidence is not None:
            entity["confidence"] = round(min(confidence[start:end]), 4)
        found.append(entity)
    return found


def read_text(line: str) -> Record:
    """A line of plain text as words; their places in the text are kept for the answer."""
    words = words_with_offsets(line)
    return {
        "text": line,
        "tokens": [word for word, _, _ in words],
        "offsets": [(start, end) for _, start, end in words],
    }


def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """The entities found, with character places where the input was running text."""
    tags, _ = repair_iob2(prediction["tags"])
    entities = entities_of(record["tokens"], tags, prediction["confidence"])
    if "offsets" not in record:
        return {"tokens": record["tokens"], "tags": tags, "confidence": prediction["confidence"], "entities": entities}
    offsets, text = record["offsets"], record["text"]
    for entity in entities:
        start, end = offsets[entity["start"]][0], offsets[entity["end"] - 1][1]
        entity.update(start=start, end=end, text=text[start:end])
    return {"text": text, "entities": entities}


_PLACE = {"type": "integer", "minimum": 0}
INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "tokens": {"type": "array", "items": {"type": "string"}, "description": "words, instead of a text"},
    },
    "anyOf": [{"required": ["text"]}, {"required": ["tokens"]}],
    "example": {"text": "Ada Lovelace lived in London."},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "tokens": {"type": "array", "items": {"type": "string"}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "confidence": {"type": "array", "items": {"type": "number"}},
        "entities": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "start": _PLACE,
                    "end": _PLACE,
                    "type": {"type": "string"},
                    "text": {"type": "string"},
                    "confidence": {"type": "number"},
                },
            },
        },
    },
    "required": ["entities"],
}
