"""A question and the text in which its answer stands, as rows of sub-tokens."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.encoding.context import Columns, EncodingContext
from rag_lightning.encoding.render import Segment
from rag_lightning.encoding.segments import Part, encode_segments, shorten
from rag_lightning.encoding.windows import windows
from rag_lightning.errors import UserError

IGNORED = -100  # a question whose answer is not known
NO_ANSWER = 0  # the token that stands for none
TEXT = "text"  # the field in which the answer stands


@dataclass(frozen=True)
class TokenPlaces:
    """A text in sub-tokens, and the characters ``begins`` to ``ends`` (exclusive) that each stands for."""

    ids: list[int]
    begins: np.ndarray
    ends: np.ndarray

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """The first and the last sub-token of the shortest stretch that holds the characters ``start`` to ``end``."""
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.begins, end, side="left")) - 1
        return min(first, last), last


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per window; records have ``text``, ``question`` and, where they are labelled, ``answers``.

    Columns beside the usual: ``labels`` (first and last token of the answer), ``text_start`` and ``text_end`` (the
    tokens among which the answer is sought), ``begins`` and ``ends`` (their characters), ``window`` of ``windows``,
    ``left_out`` (tokens of question and template that found no room).

    Raises:
        UserError: if the template does not show the text, or shows it twice.
    """
    names = (
        "input_ids", "labels", "begins", "ends", "text_start", "text_end", "window", "windows", "left_out", "example",
        "n_labels",
    )  # fmt: skip
    columns: Columns = {name: [] for name in names}
    rendered = encode_segments(records, _sharing(context.render, records), context.words)
    texts = _texts(records, rendered, context)
    for number, (record, parts) in enumerate(zip(records, rendered, strict=True), start=first):
        place = _place_of_text(parts)
        for row in _rows(parts, place, texts[id(parts[place].segment)], _gold(record), context):
            for name, value in row.items():
                columns[name].append(value)
            columns["example"].append(number)
            columns["n_labels"].append(0 if row["labels"][0] == IGNORED else len(row["labels"]))
    return columns


def _sharing(render: Callable[[Record], list[Segment]], records: Sequence[Record]) -> Callable[[Record], list[Segment]]:
    """The render with one segment for each text, so that a text with many questions is encoded once."""
    if prepare := getattr(render, "prepare", None):
        prepare(records)
    known: dict[str, Segment] = {}

    def rendered(record: Record) -> list[Segment]:
        return [
            known.setdefault(record["text"], segment) if _is_text(segment) else segment for segment in render(record)
        ]

    return rendered


def _is_text(segment: Segment) -> bool:
    return segment.field == TEXT and segment.rank == 0


def _place_of_text(parts: Sequence[Part]) -> int:
    places = [number for number, part in enumerate(parts) if _is_text(part.segment)]
    if len(places) != 1:
        raise UserError(
            f"the text in which the answer stands must be shown once, not {len(places)} times",
            where="template.text",
            remedy="Write {text} once; it stands for the question and the text.",
        )
    return places[0]


def _texts(
    records: Sequence[Record], rendered: Sequence[list[Part]], context: EncodingContext
) -> dict[int, TokenPlaces]:
    """The places of each text's sub-tokens, by the identity of its segment."""
    distinct: dict[int, tuple[str, Part]] = {}
    for record, parts in zip(records, rendered, strict=True):
        part = parts[_place_of_text(parts)]
        distinct.setdefault(id(part.segment), (record["text"], part))
    found = context.words.places([part.segment.words for _, part in distinct.values()])
    return {
        key: _token_places(text, part, places)
        for (key, (text, part)), places in zip(distinct.items(), found, strict=True)
    }


def _token_places(text: str, part: Part, places: Sequence[Sequence[tuple[int, int]]]) -> TokenPlaces:
    begins: list[int] = []
    ends: list[int] = []
    at = 0
    for word, inside in zip(part.segment.words, places, strict=True):
        at = text.index(word, at)
        begins += [at + start for start, _ in inside]
        ends += [at + end for _, end in inside]
        at += len(word)
    ids = [token for piece in part.pieces for token in piece]
    return TokenPlaces(ids, np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64))


def _gold(record: Record) -> tuple[int, int] | None:
    """The characters of the answer that most annotators gave, the first of them at a tie; (0, 0) for no answer."""
    if record.get("answers") is None:
        return None
    spans = [(answer["answer_start"], answer["answer_start"] + len(answer["text"])) for answer in record["answers"]]
    return Counter(spans).most_common(1)[0][0] if spans else (0, 0)


def _rows(
    parts: Sequence[Part], place: int, text: TokenPlaces, gold: tuple[int, int] | None, context: EncodingContext
) -> list[dict[str, Any]]:
    """The text in as many windows as it needs, each with the question and all that the template puts around it."""
    size, room = len(text.ids), context.words.room
    around = [part for number, part in enumerate(parts) if number != place]
    # The question makes room only where it would take more than half of the window from a text that needs it.
    around, cut = shorten(around, room - min(size, room // 2))
    ids = [[token for part in some for piece in part.pieces for token in piece] for some in _split(around, place)]
    before, after = [*context.words.prefix, *ids[0]], [*ids[1], *context.words.suffix]
    answer = None if not gold or gold[0] == gold[1] or not size else text.covering(*gold)
    bounds = _bounds(size, room - len(ids[0]) - len(ids[1]), context.overlap)
    rows = []
    for number, (start, end) in enumerate(bounds):
        labels = [IGNORED, IGNORED] if gold is None else [NO_ANSWER, NO_ANSWER]
        if answer and start <= answer[0] and answer[1] < end:
            labels = [len(before) + token - start for token in answer]
        rows.append(
            {
                "input_ids": [*before, *text.ids[start:end], *after],
                "labels": labels,
                "begins": text.begins[start:end].tolist(),
                "ends": text.ends[start:end].tolist(),
                "text_start": len(before),
                "text_end": len(before) + end - start,
                "window": number,
                "windows": len(bounds),
                "left_out": sum(cut.values()),
            }
        )
    return rows


def _split(around: list[Part], place: int) -> tuple[list[Part], list[Part]]:
    return around[:place], around[place:]


def _bounds(size: int, room: int, overlap: float) -> list[tuple[int, int]]:
    """Windows by sub-token, because text without spaces is one word; one window for an empty text."""
    if size <= room:
        return [(0, size)]
    return [(window.start, window.end) for window in windows([1] * size, room, overlap)]
