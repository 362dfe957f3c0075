"""What an example counts in the loss by its labels: an output kind whose rows have a weight of their own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind

COLUMN = "class_weight"


def with_class_weights(kind: OutputKind) -> OutputKind:
    """The kind, with each row's loss times the ``weight`` of its record (1 for a record without).

    Args:
        kind: one whose rows are whole examples, and whose loss knows a column ``weight``.
    """

    def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
        columns = kind.encode(records, first, context)
        weights = [float(records[example - first].get("weight", 1.0)) for example in columns["example"]]
        return {**columns, COLUMN: weights}

    def loss(outputs: Any, batch: Batch) -> Tensor:
        weight = batch[COLUMN] * batch["weight"] if "weight" in batch else batch[COLUMN]
        return kind.loss(outputs, {**batch, "weight": weight})

    return replace(kind, encode=encode, loss=loss)
