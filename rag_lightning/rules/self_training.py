"""Which of a model's own predictions it may learn from in the next round (Yarowsky 1995; pseudo-labels: Lee 2013)."""

from collections.abc import Mapping, Sequence
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.rules.hits import hit_from_json
from rag_lightning.tasks.spans import OUTSIDE


def confident_records(
    records: Sequence[Record], predictions: Sequence[Mapping[str, Any]], *, threshold: float = 0.0
) -> list[Record]:
    """The records whose predictions are sure enough, as training examples with ``tags`` or ``label``.

    Predictions that contradict a veto among the record's ``hits`` are left out.

    Args:
        records: unlabelled, with ``tokens`` or ``text``.
        predictions: for each ``{"tags": [...], "confidence": [...]}`` or ``{"label": ..., "confidence": ...}``.
        threshold: the least confidence; a sentence is as sure as its least sure word.

    Returns:
        copies in the order of ``records``, with ``confidence`` (one number) beside the labels.
    """
    chosen = []
    for record, prediction in zip(records, predictions, strict=True):
        sure = _confidence(prediction)
        if sure >= threshold and not _is_vetoed(record, prediction):
            chosen.append({**record, **_labels(prediction), "confidence": sure})
    return chosen


def _confidence(prediction: Mapping[str, Any]) -> float:
    confidence = prediction["confidence"]
    if "tags" not in prediction:
        return float(confidence)
    return float(min(confidence, default=0.0))  # nothing can be learnt from a sentence without words


def _is_vetoed(record: Record, prediction: Mapping[str, Any]) -> bool:
    for hit in map(hit_from_json, record.get("hits", ())):
        if not hit.veto:
            continue
        if "tags" in prediction:
            found = {tag[2:] for tag in prediction["tags"][hit.start : hit.end] if tag != OUTSIDE}
        else:
            found = {prediction["label"]}
        if hit.label in found:
            return True
    return False


def _labels(prediction: Mapping[str, Any]) -> dict[str, Any]:
    return {"tags": list(prediction["tags"])} if "tags" in prediction else {"label": prediction["label"]}
