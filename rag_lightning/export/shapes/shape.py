"""What stands before and behind an exported network, for one shape of answer. Needs no torch."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.encoding.context import Columns, EncodingContext

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Head:
    """What of a run the answers hang on beside the network.

    Attributes:
        labels: by their ids.
        options: the task's.
        config: numbers that validation chose: a threshold of silence, a line from cosines to scores.
        arrays: weights that are applied here: a head over two vectors, scores of transitions.
        transitions: whether only valid sequences of tags are answered.
    """

    labels: tuple[str, ...]
    options: Any
    config: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    transitions: bool = False


def _nothing_more(batch: Arrays) -> Arrays:
    return {}


def _one_text(batch: Arrays) -> list[Arrays]:
    return [batch]


@dataclass(frozen=True)
class Shape:
    """From records to the network's inputs, and from its outputs to predictions, as an output kind does with torch.

    Attributes:
        gives: what the exported network returns: ``logits``, ``ends`` (of an answer), or ``means`` (of the hidden
            states, one vector a text).
        encode: as of :class:`rag_lightning.tasks.task.OutputKind`, and so ``padding``.
        decode: ``(outputs, batch, head)`` -> arrays, one entry per answer; outputs of each part of the batch.
        assemble: ``(records, decoded batches, head)`` -> one prediction per record.
        inputs: inputs of the network beside ids, mask and marks, if it takes them.
        parts: the batches that the network sees of one batch: several where texts are read each by itself.
    """

    gives: Literal["logits", "ends", "means"]
    encode: Callable[[Sequence[Record], int, EncodingContext], Columns]
    padding: Mapping[str, int]
    decode: Callable[[list[np.ndarray], Arrays, Head], dict[str, Any]]
    assemble: Callable[[Sequence[Record], Sequence[dict[str, Any]], Head], list[Any]]
    inputs: Callable[[Arrays], Arrays] = _nothing_more
    parts: Callable[[Arrays], list[Arrays]] = _one_text


def shape_of(place: str) -> Shape:
    """The shape that ``module.NAME`` names, such as ``words.TAGS``."""
    module, _, name = place.partition(".")
    found: Shape = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    return found


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in float32 as torch computes it."""
    raised = np.exp(logits.astype(np.float32) - logits.max(axis=-1, keepdims=True))
    normalised: np.ndarray = raised / raised.sum(axis=-1, keepdims=True)
    return normalised
