"""Decoding for token labels with constraints, vetoes and a CRF: for ``dataclasses.replace(TOKEN_LABELS, decode=…)``."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rag_lightning.decoding.constraints import allowed_labels, transitions_for
from rag_lightning.decoding.crf import LinearChainCRF, marginals
from rag_lightning.decoding.vetoes import FORBIDDEN_COLUMN
from rag_lightning.decoding.viterbi import penalties, viterbi
from rag_lightning.tasks.outputs.token_labels import NO_WORD
from rag_lightning.tasks.outputs.token_labels import decode as decode_each_word

Decode = Callable[[Tensor, dict[str, Tensor]], dict[str, Any]]


def make_decode(labels: Sequence[str], constrain: bool, crf: LinearChainCRF | None = None) -> Decode:
    """A ``decode(logits, batch)`` like that of ``tasks/outputs/token_labels.py``, with the same answer.

    Beyond the columns that one reads, a batch may have ``forbidden`` (rows, tokens), int64: at the place where a word's
    label is read the mask of its vetoed types (:func:`~rag_lightning.decoding.constraints.veto_masks`), elsewhere
    anything. A vetoed label is never chosen.

    Args:
        labels: the tags.
        constrain: only sequences that are valid IOB2. A window that begins within a text may begin with any label: the
            word before it is another window's.
        crf: scores of neighbouring labels, learnt with :func:`make_crf_loss`; the probability of a label is then its
            marginal one, else what the softmax gives the chosen label.
    """
    allowed = transitions_for(labels)

    def decode(logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
        read = batch["words"] != NO_WORD
        vetoes = batch.get(FORBIDDEN_COLUMN)
        if not read.any() or (vetoes is None and crf is None and not constrain):
            return decode_each_word(logits, batch)
        order, mask = left_aligned(read)
        emissions = _at(logits, order).float()
        words = batch["words"].gather(1, order)
        scores = emissions if vetoes is None else emissions + penalties(allowed_labels(labels, vetoes.gather(1, order)))
        start = emissions.new_zeros(len(emissions), len(labels))
        step = emissions.new_zeros(len(labels), len(labels))
        if crf is not None:
            start, step = start + crf.start.detach(), step + crf.step.detach()
        if constrain:
            start = start + penalties(allowed.start.to(start.device))
            step = step + penalties(allowed.step.to(step.device))
        start = start * (words[:, :1] == 0)
        path = viterbi(scores, mask, start, step)
        probabilities = torch.softmax(emissions, dim=-1) if crf is None else marginals(scores, mask, start, step)
        confidence = probabilities.gather(2, path.unsqueeze(2)).squeeze(2)
        example = batch["example"].unsqueeze(1).expand_as(mask)
        return {
            "example": example[mask].cpu().numpy(),
            "word": words[mask].cpu().numpy(),
            "label": path[mask].cpu().numpy(),
            "confidence": confidence[mask].cpu().numpy(),
        }

    return decode


def make_crf_loss(crf: LinearChainCRF) -> Callable[[Tensor, dict[str, Tensor]], Tensor]:
    """A ``loss(logits, batch)``: the negative log-likelihood of the words' labels, summed over the batch.

    Only the sub-tokens at which labels are read take part, so it is a sum over fewer terms than the cross-entropy of
    all labelled sub-tokens (``task.subwords``). A row counts its ``weight``, if the batch has one.
    """

    def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        order, mask = left_aligned(batch["words"] != NO_WORD)
        begins = batch["words"].gather(1, order)[:, 0] == 0
        each = -crf(_at(logits, order).float(), batch["labels"].gather(1, order), mask, begins)
        weight = batch.get("weight")
        return each.sum() if weight is None else (each * weight.to(each.dtype)).sum()

    return loss


def left_aligned(read: Tensor) -> tuple[Tensor, Tensor]:
    """Where the marked tokens are, and which of the places are filled.

    Args:
        read: (rows, tokens) bool.

    Returns:
        (rows, most marked tokens of a row, at least 1) each: the tokens' places, in order; and True for as many as the
        row has.
    """
    counts = read.sum(dim=1)
    most = max(1, int(counts.max()))
    order = torch.argsort((~read).to(torch.uint8), dim=1, stable=True)[:, :most]
    return order, torch.arange(most, device=read.device) < counts.unsqueeze(1)


def _at(logits: Tensor, order: Tensor) -> Tensor:
    return logits.gather(1, order.unsqueeze(2).expand(-1, -1, logits.shape[2]))
