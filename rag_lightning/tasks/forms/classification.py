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
