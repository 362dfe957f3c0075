"""Output kind: one label for a whole text."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.encoding.render import SEP
from rag_lightning.encoding.segments import Part, encode_segments, shorten
from rag_lightning.encoding.words import PROBE
from rag_lightning.tasks.task import Columns, EncodingContext, OutputKind

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


def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy of the labelled texts.

    Args:
        logits: (rows, labels).
        batch: with ``labels`` (rows,) and, optionally, ``weight`` (rows,): what a text counts beside a labelled one.
    """
    labels = batch["labels"]
    if (weight := batch.get("weight")) is None:
        return F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
    each = F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="none")
    return (each * weight.to(each.dtype)).sum()


def decode(logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
    """The probabilities of all labels for every text, and how much of the text was cut."""
    return {
        "example": batch["example"].cpu().numpy(),
        "probability": torch.softmax(logits.float(), dim=-1).cpu().numpy(),
        "cut": batch["cut"].cpu().numpy(),
    }


def assemble(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Per record ``{"label", "confidence", "scores": {label: probability}, "cut"}``, the likeliest label first.

    Raises:
        RuntimeError: if a text has no answer or several (a defect, never to be passed over).
    """
    found = answered_once(records, decoded, {"probability": len(labels), "cut": 1})
    return [_answer(row, int(cut[0]), labels) for row, cut in zip(found["probability"], found["cut"], strict=True)]


def answered_once(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], widths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The decoded arrays in the order of the records.

    Args:
        decoded: batches with ``example`` and the arrays that ``widths`` names.
        widths: array -> numbers for each record.

    Returns:
        for each array (records, width).

    Raises:
        RuntimeError: if a text has no answer or several (a defect, never to be passed over).
    """
    found = {name: np.zeros((len(records), width)) for name, width in widths.items()}
    answers = np.zeros(len(records), dtype=np.int64)
    for part in decoded:
        for name, values in found.items():
            values[part["example"]] = part[name].reshape(len(part["example"]), -1)
        np.add.at(answers, part["example"], 1)
    if not (answers == 1).all():
        raise RuntimeError(f"{int((answers != 1).sum())} texts were not answered exactly once")
    return found


def _answer(probability: np.ndarray, cut: int, labels: tuple[str, ...]) -> dict[str, Any]:
    scores = {labels[i]: round(float(probability[i]), 4) for i in np.argsort(-probability, kind="stable")}
    label, confidence = next(iter(scores.items()))
    return {"label": label, "confidence": confidence, "scores": scores, "cut": cut}


SEQUENCE_LABEL = OutputKind(
    name="sequence_label", encode=encode, padding={}, loss=loss, decode=decode, assemble=assemble
)
# Two texts that are read together.
PAIR_LABEL = replace(SEQUENCE_LABEL, encode=encode_pairs, padding={TOKEN_TYPES: 0})
