"""Decoded batches to one label for each text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rag_lightning.data.records import Record


def assemble(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Per record ``{"label", "confidence", "scores": {label: probability}, "cut"}``, the likeliest label first.

    Raises:
        RuntimeError: if a text has no answer or several (a defect, never to be passed over).
    """
    found = answered_once(records, decoded, {"probability": len(labels), "cut": 1})
    return [_answer(row, int(cut[0]), labels) for row, cut in zip(found["probability"], found["cut"], strict=True)]


def answered_once(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], widths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The decoded arrays in the order of the records.

    Args:
        decoded: batches with ``example`` and the arrays that ``widths`` names.
        widths: array -> numbers for each record.

    Returns:
        for each array (records, width).

    Raises:
        RuntimeError: if a text has no answer or several (a defect, never to be passed over).
    """
    found = {name: np.zeros((len(records), width)) for name, width in widths.items()}
    answers = np.zeros(len(records), dtype=np.int64)
    for part in decoded:
        for name, values in found.items():
            values[part["example"]] = part[name].reshape(len(part["example"]), -1)
        np.add.at(answers, part["example"], 1)
    if not (answers == 1).all():
        raise RuntimeError(f"{int((answers != 1).sum())} texts were not answered exactly once")
    return found


def _answer(probability: np.ndarray, cut: int, labels: tuple[str, ...]) -> dict[str, Any]:
    scores = {labels[i]: round(float(probability[i]), 4) for i in np.argsort(-probability, kind="stable")}
    label, confidence = next(iter(scores.items()))
    return {"label": label, "confidence": confidence, "scores": scores, "cut": cut}
