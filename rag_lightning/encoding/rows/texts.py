"""Whole texts, or two that are read together, as rows of sub-tokens."""

from collections.abc import Sequence
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.encoding.context import Columns, EncodingContext
from rag_lightning.encoding.render import SEP
from rag_lightning.encoding.segments import Part, encode_segments, shorten
from rag_lightning.encoding.words import PROBE

IGNORED = -100  # an unlabelled text
TEXTS = ("text", "tokens")  # the fields whose words the context's columns count
SIDES = (*TEXTS, "first", "second")  # of a pair of texts
TOKEN_TYPES = "token_type_ids"


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per text: the columns of :func:`encode_inputs`, and ``labels``."""
    return labelled(encode_inputs(records, first, context), records, context)


def encode_pairs(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """The same of two texts that are read together."""
    return labelled(encode_inputs(records, first, context, pairs=True), records, context)


def labelled(columns: Columns, records: Sequence[Record], context: EncodingContext) -> Columns:
    """The columns with ``labels``, the id of each record's label, and ``n_labels``."""
    ids_of_label = {label: i for i, label in enumerate(context.labels)}
    labels = [record.get("label") for record in records]
    columns["labels"] = [IGNORED if label is None else ids_of_label[label] for label in labels]
    columns["n_labels"] = [0 if label is None else 1 for label in labels]
    return columns


def encode_inputs(records: Sequence[Record], first: int, context: EncodingContext, *, pairs: bool = False) -> Columns:
    """One row per text, without its labels: ``input_ids``, ``example``, ``cut`` (tokens that found no room).

    The context's columns of words are spread over the words' sub-tokens, with 0 at all else.

    Args:
        pairs: add ``token_type_ids`` (0 for the first text, 1 for the second) where the tokenizer tells pairs so.
    """
    columns: Columns = {name: [] for name in ("input_ids", "cut", "example", *context.word_column_names)}
    words = context.words
    typed = pairs and knows_pairs(words.tokenizer)
    if typed:
        columns[TOKEN_TYPES] = []
    rendered = encode_segments(records, context.render, words)
    for number, (record, parts) in enumerate(zip(records, rendered, strict=True), start=first):
        columns["example"].append(number)
        kept, cut = shorten(parts, words.room)
        shown = [token for part in kept for piece in part.pieces for token in piece]
        columns["input_ids"].append([*words.prefix, *shown, *words.suffix])
        own = {part.segment.field for part in parts if part.segment.rank == 0}
        columns["cut"].append(sum(lost for field, lost in cut.items() if field in own))
        if typed:
            columns[TOKEN_TYPES].append(_token_types(kept, context))
        for name, values in context.word_columns(record).items():
            columns[name].append(_spread(values, record, kept, context))
    return columns


def knows_pairs(tokenizer: Any) -> bool:
    """Whether the tokenizer marks the second text of a pair by the token type 1, as BERT's does."""
    return 1 in tokenizer(PROBE, PROBE).get(TOKEN_TYPES, ())


def _token_types(parts: Sequence[Part], context: EncodingContext) -> list[int]:
    """1 behind the first separator that follows the first text of the example, as in BERT's training on pairs."""
    row, seen, kind = [0] * len(context.words.prefix), False, 0
    for part in parts:
        for word, piece in zip(part.segment.words, part.pieces, strict=False):
            row += [kind] * len(piece)
            if seen and word is SEP:
                kind = 1
        seen = seen or part.segment.field in SIDES
    return row + [kind] * len(context.words.suffix)


def _spread(values: Sequence[int], record: Record, parts: Sequence[Part], context: EncodingContext) -> list[int]:
    """A number for each word of the text as a number for each token of the row."""
    row = [0] * len(context.words.prefix)
    before = 0  # a pair of texts stands there in two parts, and a template may show a text again
    for part in parts:
        field, size = part.segment.field, len(part.segment.words)
        is_text = field in (SIDES if isinstance(record.get("first"), str) else TEXTS) and part.segment.rank == 0
        if is_text and field in ("first", "second"):
            before = 0 if field == "first" else len(values) - size
        for place, piece in enumerate(part.pieces, start=before):
            row += [values[place % len(values)] if is_text else 0] * len(piece)
        before += size if is_text else 0
    return row + [0] * len(context.words.suffix)
