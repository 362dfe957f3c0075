"""What may follow what in IOB2, and which labels a rule's veto rules out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rag_lightning.decoding.vetoes import countable, entity_types, type_of
from rag_lightning.tasks.spans import OUTSIDE

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
    step = [[not label.startswith("I-") or type_of(before) == label[2:] for label in labels] for before in labels]
    return Transitions(torch.tensor(start), torch.tensor(step))


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
    bits = {name: i for i, name in enumerate(countable(entity_types(labels)))}
    bit_of_label = [_NEVER_SET if label == OUTSIDE else bits[type_of(label)] for label in labels]
    shifts = torch.tensor(bit_of_label, dtype=torch.int64, device=vetoes.device)
    allowed = ((vetoes.unsqueeze(-1) >> shifts) & 1) == 0
    return allowed | ~allowed.any(dim=-1, keepdim=True)
