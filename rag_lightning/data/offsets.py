"""Places in a text, counted in characters from 0, the end exclusive: whether they lie in it and show what they say."""

from collections.abc import Mapping, Sequence
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError


def check_offsets(record: Record, where: str) -> Record:
    """The record with all places checked, and with what follows from them: a mention's text, an answer's place.

    Raises:
        UserError: for spans outside the text or that overlap, a mention or answer that stands elsewhere.
    """
    record = dict(record)
    if "spans" in record and "text" in record:
        check_spans(record["spans"], len(record["text"]), where)
    for side in ("first", "second"):
        if isinstance(record.get(side), dict) and "text" in record:
            record[side] = _mention(side, record[side], record["text"], where)
    if record.get("answers") and "context" in record:
        record["answers"] = [_answer(answer, record["context"], where) for answer in record["answers"]]
    return record


def check_spans(spans: Sequence[Mapping[str, Any]], length: int, where: str) -> None:
    """Raises a UserError for a span outside the text or two that overlap."""
    before: Mapping[str, Any] | None = None
    for span in sorted(spans, key=lambda span: (span["start"], span["end"])):
        name = f"the span {span['start']}–{span['end']} ({shorten(span['label'], 30)})"
        if not 0 <= span["start"] < span["end"] <= length:
            raise _outside(name, length, where)
        if before is not None and span["start"] < before["end"]:
            raise UserError(
                f"{name} overlaps with {before['start']}–{before['end']} ({shorten(before['label'], 30)}), "
                "which one tag a word cannot say",
                where=where,
                remedy="Keep one of the two.",
            )
        before = span


def _mention(side: str, mention: dict[str, Any], text: str, where: str) -> dict[str, Any]:
    start, end = mention["start"], mention["end"]
    name = f"the {side} entity {start}–{end}"
    if not 0 <= start < end <= len(text):
        raise _outside(name, len(text), where)
    there = text[start:end]
    if mention.get("text", there) != there:
        raise _elsewhere(name, there, mention["text"], text, start, f"{side}.start and {side}.end", where)
    return mention | {"text": there}


def _answer(answer: dict[str, Any], context: str, where: str) -> dict[str, Any]:
    """The answer with its place; one without place stands where its text occurs first."""
    text = answer["text"]
    start = answer.get("answer_start", context.find(text))
    name = f"the answer {shorten(text, 40)!r}"
    if "answer_start" not in answer and start < 0:
        raise UserError(
            f"{name} does not stand in the context",
            where=where,
            remedy="An extractive answer is a part of the context, letter by letter; write [] where there is none.",
        )
    if not 0 <= start <= len(context) - len(text) or context[start : start + len(text)] != text:
        there = context[max(start, 0) : max(start, 0) + len(text)]
        raise _elsewhere(f"{name} at {start}", there, text, context, start, "answer_start", where)
    return {"text": text, "answer_start": start}


def _outside(name: str, length: int, where: str) -> UserError:
    return UserError(
        f"{name} does not lie in the text of {length:,} characters",
        where=where,
        remedy="start and end count characters from 0, and end is exclusive.",
    )


def _elsewhere(name: str, there: str, said: str, text: str, start: int, key: str, where: str) -> UserError:
    places = [place for place in range(len(text)) if text.startswith(said, place)] if said else []
    if places:
        best = min(places, key=lambda place: abs(place - start))
        remedy = f"{shorten(said, 40)!r} stands at {best}: correct {key}, which counts characters from 0."
    else:
        remedy = f"{shorten(said, 40)!r} stands nowhere in the text; correct one of the two."
    shown = f"the text has {shorten(there, 40)!r}" if there else f"the text of {len(text):,} characters has nothing"
    return UserError(f"{name}: {shown} there, not {shorten(said, 40)!r}", where=where, remedy=remedy)
