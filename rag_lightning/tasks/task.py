"""What a task is: data plus a few functions. Few output kinds carry all tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from torch import Tensor

from rag_lightning.data.records import Record, Splits
from rag_lightning.encoding.render import Render
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.tasks.evaluation import Evaluation

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Prepared:
    """Records in the task's one form, their labels, and what a reader should be told about the change."""

    splits: Splits
    labels: tuple[str, ...]
    notes: list[str]


def with_known_labels(options: Any, labels: Sequence[str]) -> Any:
    """A task's options with all labels that are known of, if the user names none: a few shots need not have each."""
    if not labels or getattr(options, "labels", ()) is not None:
        return options
    return options.model_copy(update={"labels": list(labels)})


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
    """

    words: WordEncoder
    labels: tuple[str, ...]
    options: Any
    overlap: float
    render: Render
    word_columns: Callable[[Record], dict[str, list[int]]] = _no_columns
    word_column_names: Sequence[str] = ()


@dataclass(frozen=True)
class OutputKind:
    """A shape of answer, such as a label for every token, with all that depends on this shape only.

    Attributes:
        name: the key in the table of model heads.
        encode: ``(records, first example number, context)`` -> columns with one row per model input. Columns in
            ``padding`` hold a list per row, the others a number; ``example`` and ``n_labels`` are required.
        padding: column -> value that fills a row up to the batch's length (``input_ids`` excepted).
        loss: ``(logits, batch)`` -> the *sum* of the losses of the batch's labels, a scalar.
        decode: ``(logits, batch)`` -> arrays of equal length, one entry per answer, on the CPU.
        assemble: ``(records, decoded batches, labels)`` -> one prediction per record; raises if an answer is
            missing or doubled.
    """

    name: str
    encode: Callable[[Sequence[Record], int, EncodingContext], Columns]
    padding: dict[str, int]
    loss: Callable[[Tensor, dict[str, Tensor]], Tensor]
    decode: Callable[[Tensor, dict[str, Tensor]], dict[str, Any]]
    assemble: Callable[[Sequence[Record], Sequence[dict[str, Any]], tuple[str, ...]], list[Any]]


@dataclass(frozen=True)
class Task:
    """A task, declared once.

    Attributes:
        name: as in ``task=…``; the file ``tasks/<name>.py`` and ``conf/task/<name>.yaml``.
        output: the shape of its answers.
        options: the model of its YAML.
        headline: the metric it is judged by.
        label_field: the field of a record that holds its labels (splits are stratified by it).
        prepare: ``(splits, options)`` -> records in one form and the labels.
        evaluate: ``(split, records, predictions, labels)`` -> scores and tables.
        read_text: a line of plain text as an unlabelled record, for prediction.
        answer: ``(record, prediction)`` -> the JSON that prediction gives to users.
        pipeline: the name of transformers' pipeline that runs the saved model, if there is one.
    """

    name: str
    output: OutputKind
    options: type[BaseModel]
    headline: str
    label_field: str
    prepare: Callable[[Splits, Any], Prepared]
    evaluate: Callable[[str, Sequence[Record], Sequence[Any], tuple[str, ...]], Evaluation]
    read_text: Callable[[str], Record]
    answer: Callable[[Record, Any], dict[str, Any]]
    pipeline: str | None = None

    @property
    def of_tokens(self) -> bool:
        """Whether words are labelled, rather than whole inputs."""
        return self.output.name == "token_labels"

    def rule_labels(self, labels: Sequence[str]) -> list[str]:
        """What rules may vote for: for tags the types behind them."""
        if not self.of_tokens:
            return list(labels)
        return list(dict.fromkeys(label[2:] for label in labels if label != "O"))
