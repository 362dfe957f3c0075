"""Output kind: a number on a scale for an example, such as how alike two texts are.

Its labels are the two ends of the scale, such as ``("0", "5")``. The head has a score for each; a value is as far up
the scale as the upper end is probable. So a value never leaves its scale, and a sequence-classification head will do.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.decoding.values import assemble
from rag_lightning.encoding.rows.texts import TOKEN_TYPES, encode_inputs
from rag_lightning.tasks.task import Columns, EncodingContext, OutputKind

UNKNOWN = -100.0  # an example without a score


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per example, as for one label; ``labels`` is how far up the scale its score is, from 0 to 1."""
    columns = encode_inputs(records, first, context, pairs=True)
    columns["labels"] = targets(records, context.labels)
    columns["n_labels"] = [int(target != UNKNOWN) for target in columns["labels"]]
    return columns


def targets(records: Sequence[Record], ends: Sequence[str]) -> list[float]:
    """How far up the scale between ``ends`` each record's ``score`` is, from 0 to 1; :data:`UNKNOWN` without one."""
    low, high = map(float, ends)
    scores = [record.get("score") for record in records]
    return [UNKNOWN if score is None else (float(score) - low) / (high - low) for score in scores]


def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy against the two ends' shares in each target.

    Args:
        logits: (rows, 2), of the lower and the upper end.
        batch: with ``labels`` (rows,) and, optionally, ``weight`` (rows,).
    """
    target = batch["labels"].float()
    known = target != UNKNOWN
    shares = torch.stack([1 - target, target], dim=-1)
    each = torch.where(known, -(shares * F.log_softmax(logits.float(), dim=-1)).sum(dim=-1), 0.0)
    return each.sum() if (weight := batch.get("weight")) is None else (each * weight.to(each.dtype)).sum()


def decode(logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
    """How far up the scale each example is, and how much of its text was cut."""
    return {
        "example": batch["example"].cpu().numpy(),
        "height": torch.softmax(logits.float(), dim=-1)[:, 1].cpu().numpy(),
        "cut": batch["cut"].cpu().numpy(),
    }


VALUE = OutputKind(
    name="value", encode=encode, padding={TOKEN_TYPES: 0}, loss=loss, decode=decode, assemble=assemble,
    head="sequence_label", shape="texts.VALUE",
)  # fmt: skip
