"""Output kind: a label for every word, read off the word's first sub-token."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.encoding.windows import Window, windows
from rag_lightning.tasks.task import Columns, EncodingContext, OutputKind

IGNORED = -100  # no loss at special tokens, at a template's words and at context
NO_WORD = -1


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """Windows of sub-tokens; columns ``input_ids``, ``labels``, ``words`` (the word whose answer is read here)."""
    columns: Columns = {name: [] for name in ("input_ids", "labels", "words", "example", "n_labels")}
    rendered = [context.render(record) for record in records]
    flat = [segment.words for segments in rendered for segment in segments]
    pieces = iter(context.words.encode(flat))
    ids_of_label = {label: i for i, label in enumerate(context.labels)}
    for number, (record, segments) in enumerate(zip(records, rendered, strict=True), start=first):
        encoded = [(segment.field is not None, next(pieces)) for segment in segments]
        tags = record.get("tags")
        label_ids = None if tags is None else [ids_of_label[tag] for tag in tags]
        for row in _rows(encoded, label_ids, context):
            for name, value in row.items():
                columns[name].append(value)
            columns["example"].append(number)
            columns["n_labels"].append(sum(1 for label in row["labels"] if label != IGNORED))
    return columns


def _rows(
    encoded: list[tuple[bool, list[list[int]]]], label_ids: list[int] | None, context: EncodingContext
) -> list[dict[str, list[int]]]:
    fixed = sum(len(piece) for is_data, pieces in encoded if not is_data for piece in pieces)
    room = max(1, context.words.room - fixed)
    # A single word longer than the whole window can only be shown in part; its label stays.
    encoded = [(d, [piece[:room] for piece in pieces] if d else pieces) for d, pieces in encoded]
    data = next(pieces for is_data, pieces in encoded if is_data)
    cut = windows([len(piece) for piece in data], room, context.overlap)
    return [_row(encoded, window, label_ids, context) for window in cut]


def _row(
    encoded: list[tuple[bool, list[list[int]]]],
    window: Window,
    label_ids: list[int] | None,
    context: EncodingContext,
) -> dict[str, list[int]]:
    row: dict[str, list[int]] = {"input_ids": [], "labels": [], "words": []}

    def add(ids: list[int], labels: list[int], words: list[int]) -> None:
        row["input_ids"] += ids
        row["labels"] += labels
        row["words"] += words

    def add_unlabelled(ids: list[int]) -> None:
        add(ids, [IGNORED] * len(ids), [NO_WORD] * len(ids))

    add_unlabelled(context.words.prefix)
    for is_data, pieces in encoded:
        if not is_data:
            add_unlabelled([token for piece in pieces for token in piece])
            continue
        for word in range(window.start, window.end):
            piece = pieces[word]
            if not window.own_start <= word < window.own_end:
                add_unlabelled(piece)
                continue
            rest = len(piece) - 1
            labels = [IGNORED] * len(piece)
            if label_ids is not None:
                labels = [label_ids[word]] + [_continued(label_ids[word], context)] * rest
            add(piece, labels, [word] + [NO_WORD] * rest)
    add_unlabelled(context.words.suffix)
    return row


def _continued(label_id: int, context: EncodingContext) -> int:
    """The label of a word's later sub-tokens: inside the entity that its first one begins."""
    if context.options.subwords == "first":
        return IGNORED
    label = context.labels[label_id]
    return context.labels.index(f"I-{label[2:]}") if label.startswith("B-") else label_id


def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy of the labelled tokens.

    Args:
        logits: (rows, tokens, labels).
        batch: with ``labels`` (rows, tokens).
    """
    labels = batch["labels"].flatten()
    return F.cross_entropy(logits.flatten(0, 1).float(), labels, ignore_index=IGNORED, reduction="sum")


def decode(logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
    """The label and its probability for every word that is read off here."""
    read = batch["words"] != NO_WORD
    probability, label = torch.softmax(logits[read].float(), dim=-1).max(dim=-1)
    example = batch["example"].unsqueeze(1).expand_as(read)[read]
    return {
        "example": example.cpu().numpy(),
        "word": batch["words"][read].cpu().numpy(),
        "label": label.cpu().numpy(),
        "confidence": probability.float().cpu().numpy(),
    }


def assemble(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Per record ``{"tags": […], "confidence": […]}``, as long as its tokens.

    Raises:
        RuntimeError: if a word has no answer or several (a defect, never to be passed over).
    """
    sizes = np.array([len(record["tokens"]) for record in records], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    label = np.zeros(starts[-1], dtype=np.int64)
    confidence = np.zeros(starts[-1], dtype=np.float64)
    answers = np.zeros(starts[-1], dtype=np.int64)
    for part in decoded:
        place = starts[part["example"]] + part["word"]
        label[place], confidence[place] = part["label"], part["confidence"]
        np.add.at(answers, place, 1)
    if not (answers == 1).all():
        raise RuntimeError(f"{int((answers != 1).sum())} words were not answered exactly once")
    return [
        {"tags": [labels[i] for i in label[a:b]], "confidence": [round(float(c), 4) for c in confidence[a:b]]}
        for a, b in zip(starts, starts[1:], strict=False)
    ]


TOKEN_LABELS = OutputKind(
    name="token_labels",
    encode=encode,
    padding={"labels": IGNORED, "words": NO_WORD},
    loss=loss,
    decode=decode,
    assemble=assemble,
)
