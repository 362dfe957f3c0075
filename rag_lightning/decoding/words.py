"""Decoded windows to a label for every word."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rag_lightning.data.records import Record


def assemble(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Per record ``{"tags": […], "confidence": […]}``, as long as its tokens.

    Raises:
        RuntimeError: if a word has no answer or several (a defect, never to be passed over).
    """
    sizes = np.array([len(record["tokens"]) for record in records], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    label = np.zeros(starts[-1], dtype=np.int64)
    confidence = np.zeros(starts[-1], dtype=np.float64)
    answers = np.zeros(starts[-1], dtype=np.int64)
    for part in decoded:
        place = starts[part["example"]] + part["word"]
        label[place], confidence[place] = part["label"], part["confidence"]
        np.add.at(answers, place, 1)
    if not (answers == 1).all():
        raise RuntimeError(f"{int((answers != 1).sum())} words were not answered exactly once")
    return [
        {"tags": [labels[i] for i in label[a:b]], "confidence": [round(float(c), 4) for c in confidence[a:b]]}
        for a, b in zip(starts, starts[1:], strict=False)
    ]
