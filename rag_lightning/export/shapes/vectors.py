"""Two texts, each read by itself as one vector: a label over both, or how alike they are."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.decoding import one_label
from rag_lightning.decoding.vectors import assemble_scores, assemble_similarity
from rag_lightning.encoding.rows.separate_texts import encode_sides
from rag_lightning.export.shapes.shape import Arrays, Head, Shape, softmax

PAIR_HEAD = "pair_head"  # its weights among the arrays


def _sides(batch: Arrays) -> list[Arrays]:
    """The first and the second text of each row as batches of their own."""
    ids, sizes = batch["input_ids"], batch["first_size"]
    rests = batch["attention_mask"].sum(axis=1) - sizes
    sides = []
    for starts, lengths in ((np.zeros_like(sizes), sizes), (sizes, rests)):
        place = np.arange(int(lengths.max()))
        # What the mask hides may be any token: it is not read.
        taken = np.take_along_axis(ids, np.minimum(place + starts[:, None], ids.shape[1] - 1), axis=1)
        sides.append({"input_ids": taken, "attention_mask": (place < lengths[:, None]).astype(np.int64)})
    return sides


def _decode_label(outputs: list[np.ndarray], batch: Arrays, head: Head) -> dict[str, Any]:
    first, second = outputs
    both = np.concatenate([first, second, np.abs(first - second)], axis=-1)
    logits = both @ head.arrays[f"{PAIR_HEAD}.weight"].T + head.arrays[f"{PAIR_HEAD}.bias"]
    return {"example": batch["example"], "cut": batch["cut"], "probability": softmax(logits)}


def _assemble_label(records: Sequence[Record], decoded: Sequence[dict[str, Any]], head: Head) -> list[Any]:
    return one_label.assemble(records, decoded, head.labels)


def _unit(vectors: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-8)
    return scaled


def _decode_cosine(outputs: list[np.ndarray], batch: Arrays, head: Head) -> dict[str, Any]:
    first, second = map(_unit, outputs)
    return {"example": batch["example"], "cut": batch["cut"], "cosine": (first * second).sum(axis=-1)}


def _assemble_scores(records: Sequence[Record], decoded: Sequence[dict[str, Any]], head: Head) -> list[Any]:
    return assemble_scores(records, decoded, head.labels, SimpleNamespace(**head.config))


def _decode_vectors(outputs: list[np.ndarray], batch: Arrays, head: Head) -> dict[str, Any]:
    first, second = map(_unit, outputs)
    return {"example": batch["example"], "cut": batch["cut"], "first": first, "second": second}


def _assemble_related(records: Sequence[Record], decoded: Sequence[dict[str, Any]], head: Head) -> list[Any]:
    return assemble_similarity(records, decoded, head.labels, among_all=head.options.ranking != "given")


LABEL = Shape("means", encode_sides, {}, _decode_label, _assemble_label, parts=_sides)
SCORE = replace(LABEL, decode=_decode_cosine, assemble=_assemble_scores)
RELATED = replace(LABEL, decode=_decode_vectors, assemble=_assemble_related)
