"""Decoded batches to any number of labels for each text."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.decoding.one_label import answered_once


def assemble(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...], threshold: float = 0.5
) -> list[dict[str, Any]]:
    """Per record ``{"labels", "scores": {label: probability}, "cut"}``, the likeliest labels first.

    Args:
        threshold: the probability from which a text has a label.

    Raises:
        RuntimeError: if a text has no answer or several (a defect, never to be passed over).
    """
    found = answered_once(records, decoded, {"probability": len(labels), "cut": 1})
    answers = []
    for row, cut in zip(found["probability"], found["cut"][:, 0], strict=True):
        scores = {labels[i]: float(row[i]) for i in np.argsort(-row, kind="stable")}
        answers.append(
            {
                "labels": [label for label, score in scores.items() if score >= threshold],
                "scores": {label: round(score, 4) for label, score in scores.items()},
                "cut": int(cut),
            }
        )
    return answers
