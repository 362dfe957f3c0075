"""What question answering reads and answers in use."""

import json
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError

BETWEEN = "|||"  # stands between question and text in a line
_FORM = f'"Who wrote it? {BETWEEN} Ada wrote it.", or {{"question": "…", "context": "…"}}'


def read_text(line: str) -> Record:
    """``question ||| text``, or a JSON object, as a record.

    Raises:
        UserError: for another line.
    """
    if line.lstrip().startswith("{"):
        try:
            return read_fields(json.loads(line), "text")
        except ValueError as error:
            raise UserError(f"not JSON ({error})", where="text", remedy=f"Write {_FORM}.") from None
    question, between, text = line.partition(BETWEEN)
    if line.strip() and not between:
        raise UserError(
            "a question and the text that answers it are needed",
            where="text",
            remedy=f"Write {_FORM}; a file of these is given as input=FILE.jsonl.",
        )
    return {"question": question.strip(), "text": text.strip()}


def read_fields(given: dict[str, Any], where: str) -> Record:
    """``{"question", "context"}`` as a record.

    Raises:
        UserError: if one of them is missing or no text.
    """
    question, text = given.get("question"), given.get("context", given.get("text"))
    if not isinstance(question, str) or not isinstance(text, str):
        missing = "context" if isinstance(question, str) else "question"
        raise UserError(f"an input needs a {missing}, which is a text", where=where, remedy=f"Write {_FORM}.")
    return {"question": question, "text": text}


def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """The answer, its probability and place (characters of the context, end exclusive), and the likeliest ones.

    Where the model may be silent, ``no_answer`` is the probability that the text has no answer.
    """
    names = ("answer", "confidence", "start", "end", "n_best")
    given = {"question": record["question"], **{name: prediction[name] for name in names}}
    return given if prediction["threshold"] is None else {**given, "no_answer": prediction["no_answer"]}


_PLACE = {"type": ["integer", "null"], "description": "in characters of the context"}
INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"question": {"type": "string"}, "context": {"type": "string"}},
    "required": ["question", "context"],
    "example": {"question": "Where did Ada live?", "context": "Ada Lovelace lived in London."},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "question": {"type": "string"},
        "answer": {"type": "string", "description": "empty for none"},
        "confidence": {"type": "number"},
        "start": _PLACE,
        "end": _PLACE,
        "n_best": {"type": "array", "items": {"type": "object"}},
        "no_answer": {"type": "number", "description": "probability that the text has none"},
    },
    "required": ["question", "answer", "confidence"],
}
