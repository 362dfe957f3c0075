"""Output kind: one label for a whole text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.encoding.segments import Part, encode_segments, shorten
from rag_lightning.tasks.task import Columns, EncodingContext, OutputKind

IGNORED = -100  # an unlabelled text
TEXTS = ("text", "tokens")  # the fields whose words the context's columns count


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per text; columns ``input_ids``, ``labels``, ``cut`` (tokens of the text that found no room).

    The context's columns of words are spread over the words' sub-tokens, with 0 at all else.
    """
    names = ("input_ids", "labels", "cut", "example", "n_labels", *context.word_column_names)
    columns: Columns = {name: [] for name in names}
    words, ids_of_label = context.words, {label: i for i, label in enumerate(context.labels)}
    rendered = encode_segments(records, context.render, words)
    for number, (record, parts) in enumerate(zip(records, rendered, strict=True), start=first):
        label = record.get("label")
        columns["labels"].append(IGNORED if label is None else ids_of_label[label])
        columns["n_labels"].append(0 if label is None else 1)
        columns["example"].append(number)
        kept, cut = shorten(parts, words.room)
        shown = [token for part in kept for piece in part.pieces for token in piece]
        columns["input_ids"].append([*words.prefix, *shown, *words.suffix])
        own = {part.segment.field for part in parts if part.segment.rank == 0}
        columns["cut"].append(sum(lost for field, lost in cut.items() if field in own))
        for name, values in context.word_columns(record).items():
            columns[name].append(_spread(values, kept, context))
    return columns


def _spread(values: Sequence[int], parts: Sequence[Part], context: EncodingContext) -> list[int]:
    """A number for each word of the text as a number for each token of the row."""
    row = [0] * len(context.words.prefix)
    for part in parts:
        is_text = part.segment.field in TEXTS and part.segment.rank == 0
        for place, piece in enumerate(part.pieces):
            row += [values[place] if is_text else 0] * len(piece)
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
    probability = np.zeros((len(records), len(labels)))
    cut = np.zeros(len(records), dtype=np.int64)
    answers = np.zeros(len(records), dtype=np.int64)
    for part in decoded:
        probability[part["example"]], cut[part["example"]] = part["probability"], part["cut"]
        np.add.at(answers, part["example"], 1)
    if not (answers == 1).all():
        raise RuntimeError(f"{int((answers != 1).sum())} texts were not answered exactly once")
    return [_answer(row, int(lost), labels) for row, lost in zip(probability, cut, strict=True)]


def _answer(probability: np.ndarray, cut: int, labels: tuple[str, ...]) -> dict[str, Any]:
    scores = {labels[i]: round(float(probability[i]), 4) for i in np.argsort(-probability, kind="stable")}
    label, confidence = next(iter(scores.items()))
    return {"label": label, "confidence": confidence, "scores": scores, "cut": cut}


SEQUENCE_LABEL = OutputKind(
    name="sequence_label", encode=encode, padding={}, loss=loss, decode=decode, assemble=assemble
)
