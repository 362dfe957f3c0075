"""What turns records into numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.encoding.render import Render
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.generation.options import GREEDY, GenerationOptions

Columns = dict[str, list[Any]]


def _no_columns(record: Record) -> dict[str, list[int]]:
    return {}


@dataclass(frozen=True)
class EncodingContext:
    """What an output kind needs to turn records into numbers.

    Attributes:
        words: the word encoder of the backbone's tokenizer.
        labels: the label names; a label's id is its place.
        options: the task's options.
        overlap: share of a window that the next one repeats.
        render: the hook for templates and rules: a record as segments; its data slot carries the labels.
        word_columns: further columns with a number for each word of a record, such as the marks of rules.
        word_column_names: the columns that it gives.
        generation: how text is written, where the output kind writes.
    """

    words: WordEncoder
    labels: tuple[str, ...]
    options: Any
    overlap: float
    render: Render
    word_columns: Callable[[Record], dict[str, list[int]]] = _no_columns
    word_column_names: Sequence[str] = ()
    generation: GenerationOptions = GREEDY
