"""Output kind: any number of labels for a text, each a yes or no of its own."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.decoding.several_labels import assemble
from rag_lightning.encoding.rows.texts import IGNORED, encode_inputs
from rag_lightning.tasks.task import Columns, EncodingContext, OutputKind

PROBLEM = "multi_label_classification"  # what the heads of transformers, and its pipeline, call it


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per text, as for one label; ``labels`` holds 1 for each label that the text has and 0 for the others."""
    columns = encode_inputs(records, first, context)
    columns["labels"], columns["n_labels"] = [], []
    for record in records:
        own = record.get("labels")
        unknown = [IGNORED] * len(context.labels)
        columns["labels"].append(unknown if own is None else [int(label in own) for label in context.labels])
        columns["n_labels"].append(0 if own is None else 1)
    return columns


def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Binary cross-entropy, the mean over a text's labels, summed over texts.

    Args:
        logits: (rows, labels).
        batch: with ``labels`` (rows, labels) and, optionally, ``weight`` (rows,): what a text counts.
    """
    labels = batch["labels"].to(logits.device)
    known = labels != IGNORED
    each = F.binary_cross_entropy_with_logits(logits.float(), labels.clamp_min(0).float(), reduction="none")
    rows = (each * known).mean(dim=1)
    return rows.sum() if (weight := batch.get("weight")) is None else (rows * weight.to(rows.dtype)).sum()


def decode(logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
    """The probability of each label for every text, and how much of the text was cut."""
    return {
        "example": batch["example"].cpu().numpy(),
        "probability": torch.sigmoid(logits.float()).cpu().numpy(),
        "cut": batch["cut"].cpu().numpy(),
    }


def _name_the_problem(kind: OutputKind, network: Any, context: EncodingContext) -> OutputKind:
    network.config.problem_type = PROBLEM
    return kind


MULTI_LABEL = OutputKind(
    name="multi_label",
    encode=encode,
    padding={"labels": IGNORED},
    loss=loss,
    decode=decode,
    assemble=assemble,
    head="sequence_label",
    shape="texts.LABELS",
    equip=_name_the_problem,
)


def multi_label(threshold: float) -> OutputKind:
    """The kind that gives a text the labels whose probability is at least ``threshold``."""
    return replace(MULTI_LABEL, assemble=partial(assemble, threshold=threshold))
