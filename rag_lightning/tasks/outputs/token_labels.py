"""Output kind: a label for every word, read off the word's first sub-token."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.decoding.words import assemble
from rag_lightning.encoding.rows.tagged_words import IGNORED, NO_WORD, encode
from rag_lightning.tasks.task import OutputKind


def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy of the labelled tokens.

    Args:
        logits: (rows, tokens, labels).
        batch: with ``labels`` (rows, tokens) and, optionally, ``weight`` (rows,): what a row counts beside others.
    """
    labels = batch["labels"].flatten()
    flat = logits.flatten(0, 1).float()
    if (weight := batch.get("weight")) is None:
        return F.cross_entropy(flat, labels, ignore_index=IGNORED, reduction="sum")
    each = F.cross_entropy(flat, labels, ignore_index=IGNORED, reduction="none").view_as(batch["labels"])
    return (each * weight.to(each.dtype).unsqueeze(1)).sum()


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


TOKEN_LABELS = OutputKind(
    name="token_labels",
    encode=encode,
    padding={"labels": IGNORED, "words": NO_WORD},
    loss=loss,
    decode=decode,
    assemble=assemble,
    shape="words.TAGS",
)
