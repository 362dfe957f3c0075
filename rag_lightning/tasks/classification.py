"""Text classification: records with ``text`` and one ``label``."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.records import Record, Splits
from rag_lightning.errors import UserError, nearest
from rag_lightning.metrics.classes import (
    AVERAGES,
    class_scores,
    class_table,
    confused_pairs,
    confusion_of,
    overall_scores,
)
from rag_lightning.tasks.evaluation import Evaluation
from rag_lightning.tasks.outputs.sequence_label import SEQUENCE_LABEL
from rag_lightning.tasks.task import Prepared, Task

_MOST_SCORES = 5  # labels whose probability predictions.jsonl keeps


class ClassificationOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "classification"
    labels: list[str] | None = Field(None, description="all labels; null: those of the training data")


def prepare(splits: Splits, options: ClassificationOptions) -> Prepared:
    """The records as they are, checked, and the labels in alphabetical order (numbers by their size).

    Raises:
        UserError: for a label that the training data do not have, or if there is but one.
    """
    labels = _labels(splits, options)
    for name, records in splits.items():
        for record in records:
            if (label := record.get("label")) is not None and label not in labels:
                raise _unknown(label, labels, name, record, options)
    return Prepared(splits, tuple(labels), _notes(splits.get("train", []), labels))


def _labels(splits: Splits, options: ClassificationOptions) -> list[str]:
    train = splits.get("train", [])
    if options.labels is not None:
        labels = list(dict.fromkeys(options.labels))
    else:
        labels = in_order({record["label"] for record in train})
    if len(labels) < 2:
        only = f"{labels[0]!r} is the only label" if labels else "there is no label"
        raise UserError(
            f"{only}{'' if options.labels is not None else ' of the training data'}, so that nothing can be told apart",
            where="task.labels" if options.labels is not None or not train else train[0]["source"],
            remedy="Check the column with data.fields.label=…; at least two labels are needed.",
        )
    return labels


def in_order(labels: Iterable[str]) -> list[str]:
    """Alphabetical; labels that are whole numbers by their size, before the others."""
    return sorted(labels, key=lambda label: (0, int(label), label) if label.isdecimal() else (1, 0, label))


def _unknown(label: str, labels: list[str], split: str, record: Record, options: ClassificationOptions) -> UserError:
    origin = "task.labels" if options.labels is not None else "the training data"
    close = nearest(label, labels)
    known = ", ".join(labels[:20]) + (" …" if len(labels) > 20 else "")
    hint = f"Misspelt {close[0]}? Else name" if close else "Name"
    listed = f"'task.labels=[{','.join([*labels, label])}]'" if len(labels) <= 20 else "task.labels=[…]"
    return UserError(
        f"the {split} data have the label {label!r}, which {origin} does not have ({known})",
        where=record["source"],
        remedy=f"{hint} all labels: {listed}.",
    )


def _notes(train: Sequence[Record], labels: Sequence[str]) -> list[str]:
    notes = []
    found: dict[str, set[str]] = {}
    for record in train:
        found.setdefault(" ".join(str(record.get("text", "")).split()), set()).add(record["label"])
    if several := sum(len(names) > 1 for names in found.values()):
        verb = "stands" if several == 1 else "stand"
        notes.append(f"{several:,} text{'' if several == 1 else 's'} of train {verb} there with different labels.")
    counts = Counter(record["label"] for record in train)
    without = [label for label in labels if not counts[label]]
    if train and without:
        shown = ", ".join(without[:10]) + (" …" if len(without) > 10 else "")
        notes.append(f"{len(without)} of {len(labels)} labels have no training example: {shown}.")
    return notes


def evaluate(
    split: str, records: Sequence[Record], predictions: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> Evaluation:
    """Accuracy, macro and weighted F1, Matthews' correlation, and each class."""
    gold = [record["label"] for record in records]
    predicted = [prediction["label"] for prediction in predictions]
    scores = class_scores(gold, predicted, labels)
    tables = (class_table(scores), confused_pairs(gold, predicted))
    rows = [_row(record, prediction) for record, prediction in zip(records, predictions, strict=True)]
    return Evaluation(
        split=split,
        metrics=_metrics(gold, predicted, scores),
        headline="accuracy",
        tables=tuple(table for table in tables if table is not None),
        confusion=confusion_of(gold, predicted, labels),
        predictions=rows,
        mistakes=_mistakes(rows),
        notes=_evaluation_notes(split, gold, labels),
    )


def _metrics(gold: Sequence[str], predicted: Sequence[str], scores: dict[str, dict[str, float]]) -> dict[str, float]:
    metrics = overall_scores(gold, predicted, scores)
    for name, row in scores.items():
        if name not in AVERAGES:
            metrics |= {f"{name}/precision": row["precision"], f"{name}/recall": row["recall"]}
            metrics[f"{name}/f1"] = row["f1-score"]
    return metrics


def _row(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": record["id"],
        "text": record["text"],
        "gold": record["label"],
        "predicted": prediction["label"],
        "confidence": prediction["confidence"],
        "scores": dict(list(prediction["scores"].items())[:_MOST_SCORES]),
    }


def _mistakes(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The wrong answers, the surest first: these are the most telling, of the model and of the gold labels."""
    wrong = sorted((row for row in rows if row["predicted"] != row["gold"]), key=lambda row: -row["confidence"])
    return [
        {
            "id": row["id"],
            "text": row["text"],
            "gold": row["gold"],
            "predicted": f"{row['predicted']} ({row['confidence']:.2f})",
        }
        for row in wrong
    ]


def _evaluation_notes(split: str, gold: Sequence[str], labels: Sequence[str]) -> list[str]:
    absent = [label for label in labels if label not in set(gold)]
    shown = ", ".join(absent[:10]) + (" …" if len(absent) > 10 else "")
    return [f"{len(absent)} of {len(labels)} labels do not occur in {split}: {shown}."] if absent else []


def read_text(line: str) -> Record:
    """A line of plain text as a record."""
    return {"text": line}


def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """The label, its probability, and those of all labels; ``cut`` counts the tokens that found no room, if any."""
    text = record["text"] if "text" in record else " ".join(record["tokens"])
    given = {"text": text, **{key: prediction[key] for key in ("label", "confidence", "scores")}}
    return {**given, "cut": prediction["cut"]} if prediction["cut"] else given


TASK = Task(
    name="classification",
    output=SEQUENCE_LABEL,
    options=ClassificationOptions,
    headline="accuracy",
    label_field="label",
    prepare=prepare,
    evaluate=evaluate,
    read_text=read_text,
    answer=answer,
    pipeline="text-classification",
)
