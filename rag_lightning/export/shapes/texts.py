"""Labels of whole texts: one, several, or a place on a scale."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.decoding import one_label, several_labels, values
from rag_lightning.encoding.context import Columns, EncodingContext
from rag_lightning.encoding.rows import texts
from rag_lightning.export.shapes.shape import Arrays, Head, Shape, softmax


def _decode(outputs: list[np.ndarray], batch: Arrays, head: Head) -> dict[str, Any]:
    return {"example": batch["example"], "cut": batch["cut"], "probability": softmax(outputs[0])}


def _assemble(records: Sequence[Record], decoded: Sequence[dict[str, Any]], head: Head) -> list[Any]:
    return one_label.assemble(records, decoded, head.labels)


def _decode_each(outputs: list[np.ndarray], batch: Arrays, head: Head) -> dict[str, Any]:
    return {"example": batch["example"], "cut": batch["cut"], "probability": 1 / (1 + np.exp(-outputs[0]))}


def _assemble_several(records: Sequence[Record], decoded: Sequence[dict[str, Any]], head: Head) -> list[Any]:
    return several_labels.assemble(records, decoded, head.labels, head.options.threshold)


def _encode_scaled(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    return texts.encode_inputs(records, first, context, pairs=True)


def _decode_height(outputs: list[np.ndarray], batch: Arrays, head: Head) -> dict[str, Any]:
    return {"example": batch["example"], "cut": batch["cut"], "height": softmax(outputs[0])[:, 1]}


def _assemble_scores(records: Sequence[Record], decoded: Sequence[dict[str, Any]], head: Head) -> list[Any]:
    return values.assemble(records, decoded, head.labels)


def _types(batch: Arrays) -> Arrays:
    return {texts.TOKEN_TYPES: batch[texts.TOKEN_TYPES]} if texts.TOKEN_TYPES in batch else {}


LABEL = Shape("logits", texts.encode_inputs, {}, _decode, _assemble)
PAIR_LABEL = replace(LABEL, encode=_encode_scaled, padding={texts.TOKEN_TYPES: 0}, inputs=_types)
LABELS = replace(LABEL, decode=_decode_each, assemble=_assemble_several)
VALUE = replace(PAIR_LABEL, decode=_decode_height, assemble=_assemble_scores)
