"""Text classification: records with ``text`` and one ``label``, or with any number of ``labels``."""

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.load import label_field
from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Splits
from rag_lightning.tasks.forms.classification import answer, read_text
from rag_lightning.tasks.label_scores import evaluate_labels
from rag_lightning.tasks.label_sets import ClassWeights, check_known, in_order, known_labels, notes_on, weighted
from rag_lightning.tasks.multi_label_scores import evaluate_label_sets
from rag_lightning.tasks.outputs.class_weights import with_class_weights
from rag_lightning.tasks.outputs.multi_label import multi_label
from rag_lightning.tasks.outputs.sequence_label import SEQUENCE_LABEL
from rag_lightning.tasks.task import Prepared, Task

__all__ = ["TASK", "ClassificationOptions", "in_order"]


class ClassificationOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "classification"
    answer: Literal["auto", "label", "labels"] = Field(
        "auto", description="label: one for each text; labels: any number of them; auto: what the data have"
    )
    labels: list[str] | None = Field(None, description="all labels; null: those of the training data")
    threshold: float = Field(0.5, gt=0, lt=1, description="probability from which a text has one of several labels")
    class_weights: ClassWeights = Field(
        "none", description="what a training text counts in the loss: none (1), balanced, or {label: weight}"
    )


def prepare(splits: Splits, options: ClassificationOptions) -> Prepared:
    """The records as they are, checked, and the labels in alphabetical order (numbers by their size).

    Raises:
        UserError: for a label that the training data do not have, or if there is but one.
    """
    several = options.answer == "labels" or (
        options.answer == "auto" and any(record.get("labels") is not None for record in splits.get("train", []))
    )
    labels = known_labels(splits, options.labels, least=1 if several else 2)
    check_known(splits, labels, options.labels is not None)
    notes = notes_on(splits.get("train", []), labels, lambda record: str(record.get("text", "")))
    return Prepared(weighted(splits, labels, options.class_weights), tuple(labels), notes)


def settle(options: ClassificationOptions, data: DataConfig) -> ClassificationOptions:
    """The options with the kind of answer that the data have."""
    if options.answer != "auto":
        return options
    return options.model_copy(update={"answer": label_field(data, TASK.reading)})


def fit(task: Task, options: ClassificationOptions, model_type: str) -> Task:
    """One label for each text, or several."""
    several = options.answer == "labels"
    output = multi_label(options.threshold) if several else task.output
    output = output if options.class_weights == "none" else with_class_weights(output)
    return replace(
        task,
        output=output,
        reading=Reading(fields=("text", "labels" if several else "label"), labels=("labels" if several else "label",)),
        evaluate=evaluate_label_sets if several else evaluate_labels,
        headline="micro_f1" if several else "accuracy",
    )


TASK = Task(
    name="classification",
    output=SEQUENCE_LABEL,
    options=ClassificationOptions,
    headline="accuracy",
    reading=Reading(fields=("text", "label", "labels"), labels=("label", "labels")),
    prepare=prepare,
    evaluate=evaluate_labels,
    read_text=read_text,
    answer=answer,
    pipeline="text-classification",
    fit=fit,
    settle=settle,
)
