"""Output kind: one label for a whole text."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.decoding.one_label import assemble
from rag_lightning.encoding.rows.texts import IGNORED, TOKEN_TYPES, encode, encode_pairs
from rag_lightning.tasks.task import OutputKind


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


SEQUENCE_LABEL = OutputKind(
    name="sequence_label",
    encode=encode,
    padding={},
    loss=loss,
    decode=decode,
    assemble=assemble,
    shape="texts.LABEL",
)
# Two texts that are read together.
PAIR_LABEL = replace(SEQUENCE_LABEL, encode=encode_pairs, padding={TOKEN_TYPES: 0}, shape="texts.PAIR_LABEL")
