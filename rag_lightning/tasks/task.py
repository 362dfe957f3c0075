"""What a task is: data plus a few functions. Few output kinds carry all tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from torch import Tensor, nn

from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.encoding.context import Columns, EncodingContext
from rag_lightning.guidance.features import guided_logits
from rag_lightning.rules.ruleset import RuleSet
from rag_lightning.tasks.evaluation import Evaluation
from rag_lightning.template.options import TemplateConfig

Batch = dict[str, Tensor]
# Output kinds whose labels rules can vote for, and that learn from weak labels and from their own answers.
OF_NAMED_LABELS = ("token_labels", "sequence_label")


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


@dataclass(frozen=True)
class OutputKind:
    """A shape of answer, such as a label for every token, with all that depends on this shape only.

    Attributes:
        name: of the kind.
        encode: ``(records, first example number, context)`` -> columns with one row per model input. Columns in
            ``padding`` hold a list per row, the others a number; ``input_ids``, ``example`` and ``n_labels`` are
            required. A column ``cost`` (tokens that a row counts in a batch) is needed where ``input_ids`` is not all.
        padding: column -> value that fills a row up to the column's longest in the batch (``input_ids`` excepted).
        loss: ``(outputs, batch)`` -> the *sum* of the losses of the batch's labels, a scalar.
        decode: ``(outputs, batch)`` -> arrays of equal length, one entry per answer, on the CPU.
        assemble: ``(records, decoded batches, labels)`` -> one prediction per record; raises if an answer is
            missing or doubled.
        forward: ``(network, batch)`` -> the outputs that ``loss`` and ``decode`` take.
        head: the key in the table of model heads, if it is not the name.
        shape: what answers without torch, a place in ``rag_lightning/export/shapes``, such as ``words.TAGS``; empty:
            nothing, and the kind is not exported.
        equip: ``(kind, network, context)`` -> the kind with what it needs of the loaded network, such as the closure
            that lets it write; None: nothing.
    """

    name: str
    encode: Callable[[Sequence[Record], int, EncodingContext], Columns]
    padding: dict[str, int]
    loss: Callable[[Any, Batch], Tensor]
    decode: Callable[[Any, Batch], dict[str, Any]]
    assemble: Callable[[Sequence[Record], Sequence[dict[str, Any]], tuple[str, ...]], list[Any]]
    forward: Callable[[nn.Module, Batch], Any] = guided_logits
    head: str = ""
    shape: str = ""
    equip: Callable[["OutputKind", Any, EncodingContext], "OutputKind"] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", self.head or self.name)


def _as_it_is(task: "Task", options: Any, model_type: str) -> "Task":
    return task


def _as_they_are(options: Any, data: DataConfig) -> Any:
    return options


def _nothing_to_refuse(template: TemplateConfig, ruleset: RuleSet) -> None:
    pass


@dataclass(frozen=True)
class Task:
    """A task, declared once.

    Attributes:
        name: as in ``task=…``; the file ``tasks/<name>.py`` and ``conf/task/<name>.yaml``.
        output: the shape of its answers.
        options: the model of its YAML.
        headline: the metric it is judged by.
        reading: the fields of a record that it reads, and which of them hold its labels.
        prepare: ``(splits, options)`` -> records in one form and the labels.
        evaluate: ``(split, records, predictions, labels)`` -> scores and tables.
        read_text: a line of plain text as an unlabelled record, for prediction.
        answer: ``(record, prediction)`` -> the JSON that prediction gives to users.
        pipeline: the name of transformers' pipeline that runs the saved model, if there is one.
        fit: ``(task, options, model type)`` -> the task as these options and this kind of backbone make it, such as
            with another output kind; raises a UserError where they do not go together.
        settle: ``(options, data config)`` -> the options with what ``auto`` means for these data; called before
            ``fit``, and kept with the run.
        choose: ``(network, records, predictions)``: sets in ``network.config`` what the answers hang on and validation
            decides, such as a threshold; the predictions are then assembled anew. None: nothing.
        read_fields: ``(JSON object, where it stands)`` -> an unlabelled record, for prediction where one text is not
            enough; None: a text or tokens are.
        check: ``(template, rule set)``: raises a UserError for templates and rules that the task has no use for.
        lower_is_better: of the headline.
        shows_before: the untrained network is evaluated too, and its scores are reported beside those at the end.
        example: an input in words for the commands that are shown to users.
    """

    name: str
    output: OutputKind
    options: type[BaseModel]
    headline: str
    reading: Reading
    prepare: Callable[[Splits, Any], Prepared]
    evaluate: Callable[[str, Sequence[Record], Sequence[Any], tuple[str, ...]], Evaluation]
    read_text: Callable[[str], Record]
    answer: Callable[[Record, Any], dict[str, Any]]
    pipeline: str | None = None
    fit: Callable[["Task", Any, str], "Task"] = _as_it_is
    settle: Callable[[Any, DataConfig], Any] = _as_they_are
    choose: Callable[[Any, Sequence[Record], Sequence[Any]], None] | None = None
    read_fields: Callable[[dict[str, Any], str], Record] | None = None
    check: Callable[[TemplateConfig, RuleSet], None] = _nothing_to_refuse
    lower_is_better: bool = False
    shows_before: bool = False
    example: str = "Ada Lovelace lived in London."

    @property
    def of_tokens(self) -> bool:
        """Whether words are labelled, rather than whole inputs."""
        return self.output.name == "token_labels"

    @property
    def of_named_labels(self) -> bool:
        """Whether rules can vote for its labels."""
        return self.output.name in OF_NAMED_LABELS

    def rule_labels(self, labels: Sequence[str]) -> list[str]:
        """What rules may vote for: for tags the types behind them."""
        if not self.of_tokens:
            return list(labels)
        return list(dict.fromkeys(label[2:] for label in labels if label != "O"))
