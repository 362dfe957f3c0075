"""A label for every word; ``decoding/token_decoder.py`` in numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.decoding.vetoes import FORBIDDEN_COLUMN, entity_types, type_of
from rag_lightning.decoding.words import assemble
from rag_lightning.encoding.rows.tagged_words import IGNORED, NO_WORD, encode
from rag_lightning.export.shapes.shape import Arrays, Head, Shape, softmax
from rag_lightning.tasks.spans import OUTSIDE

CRF = "label_transitions"  # its weights among the arrays
_NEVER = -1e6  # finite, so that words whose labels are all forbidden still have a best one


def _decode(outputs: list[np.ndarray], batch: Arrays, head: Head) -> dict[str, Any]:
    read = batch["words"] != NO_WORD
    vetoes = batch.get(FORBIDDEN_COLUMN)
    example = np.broadcast_to(batch["example"][:, None], read.shape)
    if not read.any() or (vetoes is None and not head.transitions and f"{CRF}.start" not in head.arrays):
        probability = softmax(outputs[0][read])
        return {
            "example": example[read], "word": batch["words"][read], "label": probability.argmax(axis=-1),
            "confidence": probability.max(axis=-1) if len(probability) else probability.sum(axis=-1),
        }  # fmt: skip
    order, mask = _left_aligned(read)
    emissions = np.take_along_axis(outputs[0], order[..., None], axis=1).astype(np.float32)
    words = np.take_along_axis(batch["words"], order, axis=1)
    scores = emissions
    if vetoes is not None:
        scores = emissions + _penalty(_allowed(head.labels, np.take_along_axis(vetoes, order, axis=1)))
    start, step = _transitions(head)
    # A window that begins within a text may begin with any label: the word before it is another window's.
    first = start * (words[:, :1] == 0)
    path = _viterbi(scores, mask, first, step)
    learnt = f"{CRF}.start" in head.arrays
    probability = _marginals(scores, mask, first, step) if learnt else softmax(emissions)
    confidence = np.take_along_axis(probability, path[..., None], axis=2)[..., 0]
    example = np.broadcast_to(batch["example"][:, None], mask.shape)
    return {"example": example[mask], "word": words[mask], "label": path[mask], "confidence": confidence[mask]}


def _left_aligned(read: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the tokens at which labels are read, those of a row first; and which places are filled."""
    counts = read.sum(axis=1)
    most = max(1, int(counts.max()))
    return np.argsort(~read, axis=1, kind="stable")[:, :most], np.arange(most) < counts[:, None]


def _penalty(allowed: np.ndarray) -> np.ndarray:
    return np.where(allowed, np.float32(0), np.float32(_NEVER))


def _transitions(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the first label, (labels,), and of each label behind each, (labels, labels)."""
    size = len(head.labels)
    start = np.asarray(head.arrays.get(f"{CRF}.start", np.zeros(size)), dtype=np.float32)
    step = np.asarray(head.arrays.get(f"{CRF}.step", np.zeros((size, size))), dtype=np.float32)
    if head.transitions:  # I-X only behind B-X or I-X
        inside = [label.startswith("I-") for label in head.labels]
        start = start + _penalty(~np.array(inside))
        follows = [
            [
                not is_inside or type_of(before) == label[2:]
                for label, is_inside in zip(head.labels, inside, strict=True)
            ]
            for before in head.labels
        ]
        step = step + _penalty(np.array(follows))
    return start, step


def _allowed(labels: Sequence[str], vetoes: np.ndarray) -> np.ndarray:
    """Which labels each word may have, (…, labels); all of them where the vetoes would leave none."""
    bits = {name: place for place, name in enumerate(entity_types(labels))}
    never_set = 62
    shifts = np.array([never_set if label == OUTSIDE else bits[type_of(label)] for label in labels])
    allowed: np.ndarray = ((vetoes[..., None] >> shifts) & 1) == 0
    return allowed | ~allowed.any(axis=-1, keepdims=True)


def _viterbi(scores: np.ndarray, mask: np.ndarray, first: np.ndarray, step: np.ndarray) -> np.ndarray:
    score, pointers = scores[:, 0] + first, []
    for word in range(1, scores.shape[1]):
        through = score[:, :, None] + step
        pointers.append(through.argmax(axis=1))
        score = np.where(mask[:, word, None], through.max(axis=1) + scores[:, word], score)
    label = score.argmax(axis=1)
    path = [label]
    for word in range(scores.shape[1] - 1, 0, -1):
        previous = np.take_along_axis(pointers[word - 1], label[:, None], axis=1)[:, 0]
        label = np.where(mask[:, word], previous, label)
        path.append(label)
    return np.where(mask, np.stack(path[::-1], axis=1), 0)


def _marginals(scores: np.ndarray, mask: np.ndarray, first: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The probability of each label of each word over all labellings (forward-backward)."""
    score = scores[:, 0] + first
    before = [score]
    for word in range(1, scores.shape[1]):
        grown = _log_sum(score[:, :, None] + step, axis=1) + scores[:, word]
        score = np.where(mask[:, word, None], grown, score)
        before.append(score)
    after = np.zeros_like(scores[:, 0])
    rests = [after]
    for word in range(scores.shape[1] - 1, 0, -1):
        grown = _log_sum(step + (scores[:, word] + after)[:, None, :], axis=2)
        after = np.where(mask[:, word, None], grown, after)
        rests.append(after)
    return softmax(np.stack(before, axis=1) + np.stack(rests[::-1], axis=1))


def _log_sum(values: np.ndarray, axis: int) -> np.ndarray:
    highest = values.max(axis=axis, keepdims=True)
    return (highest + np.log(np.exp(values - highest).sum(axis=axis, keepdims=True))).squeeze(axis)


def _assemble(records: Sequence[Record], decoded: Sequence[dict[str, Any]], head: Head) -> list[Any]:
    return assemble(records, decoded, head.labels)


TAGS = Shape("logits", encode, {"labels": IGNORED, "words": NO_WORD}, _decode, _assemble)
