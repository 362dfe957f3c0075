"""What may follow what in IOB2, and which labels a rule's veto rules out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rag_lightning.errors import UserError
from rag_lightning.rules.hits import hit_from_json
from rag_lightning.tasks.spans import OUTSIDE

MOST_TYPES = 62  # bits 0 to 61 of an int64
_NEVER_SET = 62  # the bit that stands for O


@dataclass(frozen=True, eq=False)
class Transitions:
    """What is allowed.

    Attributes:
        start: (labels,) bool: at the first word of a text.
        step: (labels, labels) bool: from the label of a word (row) to that of the next (column).
    """

    start: Tensor
    step: Tensor


def transitions_for(labels: Sequence[str]) -> Transitions:
    """The transitions that IOB2 allows: ``I-X`` only after ``B-X`` or ``I-X``, everything else anywhere."""
    start = [not label.startswith("I-") for label in labels]
    step = [[not label.startswith("I-") or _type(before) == label[2:] for label in labels] for before in labels]
    return Transitions(torch.tensor(start), torch.tensor(step))


def entity_types(labels: Sequence[str]) -> tuple[str, ...]:
    """The types of the labels (PER for B-PER and I-PER) in the order in which they first stand."""
    return tuple(dict.fromkeys(_type(label) for label in labels if label != OUTSIDE))


def veto_masks(hits: Sequence[Sequence[Any]], n_words: int, labels: Sequence[str]) -> list[int]:
    """For each word the entity types that it may not have: bit i stands for ``entity_types(labels)[i]``.

    Args:
        hits: of a record, as in ``record["hits"]``; all but vetoes are passed over, and so is a veto against a type
            that the data do not have.
        n_words: words of the record.
        labels: the tags.

    Raises:
        UserError: the labels have more than 62 types.
    """
    bits = {name: 1 << i for i, name in enumerate(_countable(entity_types(labels)))}
    masks = [0] * n_words
    for hit in map(hit_from_json, hits):
        if hit.veto:
            for word in range(hit.start, hit.end):
                masks[word] |= bits.get(str(hit.label), 0)
    return masks


def allowed_labels(labels: Sequence[str], vetoes: Tensor) -> Tensor:
    """Which labels each word may have; all of them where the vetoes would leave none.

    Args:
        labels: the tags. ``O`` cannot be vetoed.
        vetoes: (…) int64, masks as :func:`veto_masks` makes them.

    Returns:
        (…, labels) bool.

    Raises:
        UserError: the labels have more than 62 types.
    """
    bits = {name: i for i, name in enumerate(_countable(entity_types(labels)))}
    bit_of_label = [_NEVER_SET if label == OUTSIDE else bits[_type(label)] for label in labels]
    shifts = torch.tensor(bit_of_label, dtype=torch.int64, device=vetoes.device)
    allowed = ((vetoes.unsqueeze(-1) >> shifts) & 1) == 0
    return allowed | ~allowed.any(dim=-1, keepdim=True)


def _type(label: str) -> str:
    return label[2:] if label.startswith(("B-", "I-")) else label


def _countable(types: tuple[str, ...]) -> tuple[str, ...]:
    if len(types) > MOST_TYPES:
        raise UserError(
            f"vetoes can be applied in decoding for up to {MOST_TYPES} entity types, and the labels have {len(types)}",
            where="guidance",
            remedy="Switch vetoes in decoding off.",
        )
    return types
