"""Decoded batches to a number on a scale for each example."""

from collections.abc import Sequence
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.decoding.one_label import answered_once


def assemble(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Per record ``{"score", "cut"}``, the score in units of the scale.

    Raises:
        RuntimeError: if an example has no answer or several (a defect, never to be passed over).
    """
    low, high = map(float, labels)
    found = answered_once(records, decoded, {"height": 1, "cut": 1})
    return [
        {"score": round(low + (high - low) * float(height), 4), "cut": int(cut)}
        for height, cut in zip(found["height"][:, 0], found["cut"][:, 0], strict=True)
    ]
