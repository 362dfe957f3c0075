"""Which labels a rule's veto rules out, as bits."""

from collections.abc import Sequence
from typing import Any

from rag_lightning.errors import UserError
from rag_lightning.rules.hits import hit_from_json
from rag_lightning.tasks.spans import OUTSIDE

MOST_TYPES = 62  # bits 0 to 61 of an int64


def entity_types(labels: Sequence[str]) -> tuple[str, ...]:
    """The types of the labels (PER for B-PER and I-PER) in the order in which they first stand."""
    return tuple(dict.fromkeys(type_of(label) for label in labels if label != OUTSIDE))


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
    bits = {name: 1 << i for i, name in enumerate(countable(entity_types(labels)))}
    masks = [0] * n_words
    for hit in map(hit_from_json, hits):
        if hit.veto:
            for word in range(hit.start, hit.end):
                masks[word] |= bits.get(str(hit.label), 0)
    return masks


def type_of(label: str) -> str:
    return label[2:] if label.startswith(("B-", "I-")) else label


def countable(types: tuple[str, ...]) -> tuple[str, ...]:
    if len(types) > MOST_TYPES:
        raise UserError(
            f"vetoes can be applied in decoding for up to {MOST_TYPES} entity types, and the labels have {len(types)}",
            where="guidance",
            remedy="Switch vetoes in decoding off.",
        )
    return types


FORBIDDEN_COLUMN = "forbidden"
