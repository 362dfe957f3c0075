"""Which of a model's own predictions it may learn from in the next round (Yarowsky 1995; pseudo-labels: Lee 2013)."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Literal

from rag_lightning.data.records import Record
from rag_lightning.rules.hits import hit_from_json

NO_ENTITY = "O"


def confident_records(
    records: Sequence[Record],
    predictions: Sequence[Mapping[str, Any]],
    *,
    threshold: float = 0.0,
    share: float = 1.0,
    sentence: Literal["least", "mean"] = "least",
) -> list[Record]:
    """The records whose predictions are sure enough, as training examples with ``tags`` or ``label``.

    Predictions that contradict a veto among the record's ``hits`` are left out.

    Args:
        records: unlabelled, with ``tokens`` or ``text``.
        predictions: for each ``{"tags": [...], "confidence": [...]}`` or ``{"label": ..., "confidence": ...}``.
        threshold: the least confidence.
        share: how much of what is predicted as a label is kept at most, the surest first and one at least. By label,
            because a model is surest of the labels it knows best, and round by round would forget the others
            (Yarowsky's and Lee's thresholds alone do). A sentence counts for the rarest entity type predicted in it,
            or for none.
        sentence: a sentence is as sure as its least sure word, or as its words on average.

    Returns:
        copies in the order of ``records``, with ``confidence`` (one number) beside the labels.
    """
    sure = [_confidence(prediction, sentence) for prediction in predictions]
    candidates = [
        i
        for i, (record, prediction) in enumerate(zip(records, predictions, strict=True))
        if sure[i] >= threshold and not _is_vetoed(record, prediction)
    ]
    groups = _groups(predictions, candidates)
    chosen = [
        i
        for members in groups.values()
        for i in sorted(members, key=lambda i: (-sure[i], i))[: max(1, ceil(share * len(members) - 1e-9))]
    ]
    return [{**records[i], **_labels(predictions[i]), "confidence": sure[i]} for i in sorted(chosen)]


def _confidence(prediction: Mapping[str, Any], sentence: Literal["least", "mean"]) -> float:
    confidence = prediction["confidence"]
    if "tags" not in prediction:
        return float(confidence)
    if not confidence:
        return 0.0  # nothing can be learnt from a sentence without words
    return float(min(confidence)) if sentence == "least" else float(sum(confidence) / len(confidence))


def _is_vetoed(record: Record, prediction: Mapping[str, Any]) -> bool:
    for hit in map(hit_from_json, record.get("hits", ())):
        if not hit.veto:
            continue
        if "tags" in prediction:
            found = {tag[2:] for tag in prediction["tags"][hit.start : hit.end] if tag != NO_ENTITY}
        else:
            found = {prediction["label"]}
        if hit.label in found:
            return True
    return False


def _groups(predictions: Sequence[Mapping[str, Any]], candidates: Sequence[int]) -> dict[str, list[int]]:
    """The candidates by the label that they are examples of."""
    found = {i: _types(predictions[i]) for i in candidates}
    frequency = Counter(label for labels in found.values() for label in labels)
    groups: dict[str, list[int]] = defaultdict(list)
    for i, labels in found.items():
        groups[min(labels, key=lambda label: (frequency[label], label), default=NO_ENTITY)].append(i)
    return groups


def _types(prediction: Mapping[str, Any]) -> set[str]:
    if "tags" in prediction:
        return {tag[2:] for tag in prediction["tags"] if tag != NO_ENTITY}
    return {prediction["label"]}


def _labels(prediction: Mapping[str, Any]) -> dict[str, Any]:
    return {"tags": list(prediction["tags"])} if "tags" in prediction else {"label": prediction["label"]}
