"""A text with two entities, as a row of sub-tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.encoding.context import Columns, EncodingContext
from rag_lightning.encoding.rows.texts import IGNORED
from rag_lightning.encoding.segments import Part, check_room, encode_segments, shorten
from rag_lightning.errors import UserError
from rag_lightning.tasks.entity_marks import ADDED, MARKED, TYPED, ShownWords, has_entities, shown_words

PLACES = ("first_place", "second_place")  # columns: the token of the row at which each entity is read
SHOWS = (TYPED, MARKED, "text", "tokens")  # the slots in which the entities can be seen, the best first
_URGENT = 1e6  # more than the tokens of any text


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per text; columns ``input_ids``, ``labels``, ``cut`` (tokens of the text without room), :data:`PLACES`.

    Of a text that is too long the tokens nearest to the two mentions stay; those between them count as twice as near.
    A record without entities (a text that says nothing, for calibration) has the places 0.

    Raises:
        UserError: if the template does not show the entities.
    """
    names = ("input_ids", "labels", "cut", *PLACES, "example", "n_labels", *context.word_column_names)
    columns: Columns = {name: [] for name in names}
    ids_of_label = {label: i for i, label in enumerate(context.labels)}
    rendered = encode_segments(records, context.render, context.words)
    for number, (record, parts) in enumerate(zip(records, rendered, strict=True), start=first):
        label = record.get("label")
        row = {
            "labels": IGNORED if label is None else ids_of_label[label],
            "n_labels": 0 if label is None else 1,
            "example": number,
            **_row(record, parts, context),
        }
        for name, value in row.items():
            columns[name].append(value)
    return columns


def _row(record: Record, parts: list[Part], context: EncodingContext) -> dict[str, Any]:
    prefix, suffix = context.words.prefix, context.words.suffix
    forms = _forms(record, parts, context.options.types) if has_entities(record) else {}
    best = min(forms, key=lambda i: SHOWS.index(str(parts[i].segment.field)), default=None)
    parts, lost = _fitted(parts, forms, None if best is None else parts[best].segment.field, context.words.room)
    row: dict[str, Any] = {
        "input_ids": [*prefix, *(token for part in parts for piece in part.pieces for token in piece), *suffix],
        "cut": lost,
        **dict.fromkeys(PLACES, 0),
    }
    if best is not None:
        before = len(prefix) + sum(part.size for part in parts[:best])
        for name, (start, _) in zip(PLACES, forms[best].spans, strict=True):
            row[name] = before + sum(map(len, parts[best].pieces[:start]))
    for name, values in context.word_columns(record).items():
        row[name] = [0] * len(prefix) + _spread(values, parts, forms) + [0] * len(suffix)
    return row


def _forms(record: Record, parts: Sequence[Part], types: Mapping[str, str]) -> dict[int, ShownWords]:
    """The parts in which the entities can be seen, by their place in the input."""
    seen = [i for i, part in enumerate(parts) if part.segment.field in SHOWS and part.segment.rank == 0]
    if not seen:
        raise UserError(
            "the template does not show the sentence with its two entities",
            where="template.text",
            remedy="Write {marked} or {typed} where it shall stand, as in template=entity_markers.",
        )
    return {i: shown_words(record, str(parts[i].segment.field), types) for i in seen}


def _fitted(parts: list[Part], forms: Mapping[int, ShownWords], best: str | None, room: int) -> tuple[list[Part], int]:
    """The parts as they fit, and the tokens of the example that were cut.

    Room is made as everywhere, what is added first; then the sentence is cut, around its entities.
    """
    own = {part.segment.field for part in parts if part.segment.rank == 0 and part.segment.field is not None}
    size = sum(part.size for part in parts if part.segment.field in own)
    if sum(part.size for part in parts) > room:
        check_room(parts, room)
        left = room - sum(part.size for part in parts if part.segment.field is None)
        beside = size - sum(parts[i].size for i in forms)
        budget = max(left - beside, left // 2) // max(1, len(forms))
        parts = [_around(part, forms[i], budget) if i in forms else part for i, part in enumerate(parts)]
        parts, _ = shorten(parts, room, windowed=best)
    return parts, size - sum(part.size for part in parts if part.segment.field in own)


def _around(part: Part, form: ShownWords, budget: int) -> Part:
    """A part of at most ``budget`` tokens: the marks, then the mentions from their beginnings, then what is nearest."""
    if part.size <= budget:
        return part
    sizes = np.array([len(piece) for piece in part.pieces])
    begins = np.concatenate([[0], np.cumsum(sizes)])
    token = np.arange(part.size)
    (a, b), (c, d) = ((begins[start], begins[end]) for start, end in form.spans)
    distance = np.minimum(_from(token, a, b), _from(token, c, d)).astype(float)
    distance[(token >= min(b, d)) & (token < max(a, c))] /= 2
    for start, end in ((a, b), (c, d)):
        distance[start:end] = np.arange(end - start) - _URGENT
    distance[np.repeat(np.array(form.of_text) == ADDED, sizes)] = -2 * _URGENT
    distance[[a, c]] = -3 * _URGENT
    kept = set(np.argsort(distance, kind="stable")[:budget].tolist())
    pieces = [
        [token for place, token in enumerate(piece, start=begin) if place in kept]
        for begin, piece in zip(begins.tolist(), part.pieces, strict=False)
    ]
    return Part(part.segment, pieces)


def _from(token: np.ndarray, start: int, end: int) -> np.ndarray:
    """How far each token is from the stretch ``start`` to ``end``; 0 within it."""
    return np.maximum(np.maximum(start - token, token - end + 1), 0)


def _spread(values: Sequence[int], parts: Sequence[Part], forms: Mapping[int, ShownWords]) -> list[int]:
    """A number for each word of the text as a number for each token; 0 at marks and at all that is not the text."""
    row: list[int] = []
    for i, part in enumerate(parts):
        if i not in forms:
            row += [0] * part.size
            continue
        for word, piece in zip(forms[i].of_text, part.pieces, strict=False):  # a part that was cut may be shorter
            row += [0 if word == ADDED else values[word]] * len(piece)
    return row
