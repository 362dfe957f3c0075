"""Relation extraction: what holds between two entities of a text; labels may say in which direction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.metrics.classes import confused_pairs, confusion_of
from rag_lightning.metrics.entities import score_table
from rag_lightning.metrics.relations import OTHER, relation_scores, relation_table, undirected
from rag_lightning.tasks import classification
from rag_lightning.tasks.entity_marks import tagged
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.forms.relation import RelationOptions, complete, is_directed, read_fields, read_text
from rag_lightning.tasks.forms.relation import answer as answer_in_use
from rag_lightning.tasks.outputs.entity_pair import ENTITY_PAIR
from rag_lightning.tasks.task import Prepared, Task

_MOST_SCORES = 5  # labels whose probability predictions.jsonl keeps


def prepare(splits: Splits, options: RelationOptions) -> Prepared:
    """The records with both entities as places in the text, their text with marks, and the labels in order.

    Raises:
        UserError: for an entity that is not in the text, or a label that the training data do not have.
    """
    made = {name: [complete(record, options) for record in records] for name, records in splits.items()}
    pairs = {name: [{**record, "text": tagged(record)} for record in records] for name, records in made.items()}
    found = classification.prepare(pairs, classification.ClassificationOptions(labels=options.labels))
    notes = list(found.notes)
    if options.other not in found.labels:
        notes.append(f"No label is called {options.other!r} (task.other), so that all of them count in the F1 scores.")
    return Prepared(made, found.labels, notes)


def evaluate(
    split: str,
    records: Sequence[Record],
    predictions: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    other: str = OTHER,
) -> Evaluation:
    """The official score of SemEval-2010 Task 8 and what it is made of; see :mod:`rag_lightning.metrics.relations`."""
    gold = [record["label"] for record in records]
    predicted = [prediction["label"] for prediction in predictions]
    note = "direction counts" if any(map(is_directed, labels)) else ""
    note = "; ".join(filter(None, [note, f"{other} is left out" if other in labels else ""]))
    tables = (
        score_table("Relations", relation_table(gold, predicted, other), note),
        _directions(gold, predicted, other),
        confused_pairs(gold, predicted),
        _baselines(gold, predicted, other),
    )
    rows = [_row(record, prediction) for record, prediction in zip(records, predictions, strict=True)]
    return Evaluation(
        split=split,
        metrics=relation_scores(gold, predicted, other),
        headline="macro_f1",
        tables=tuple(table for table in tables if table is not None),
        confusion=confusion_of(gold, predicted, labels),
        predictions=rows,
        mistakes=_mistakes(rows),
        notes=_notes(split, gold, labels),
    )


def _directions(gold: Sequence[str], predicted: Sequence[str], other: str) -> Table | None:
    """What the directed examples of each relation were taken for."""
    relations = sorted({undirected(label) for label in gold if is_directed(label)})
    counts: dict[str, Counter[str]] = {relation: Counter() for relation in relations}
    for answer, found in zip(gold, predicted, strict=True):
        if is_directed(answer):
            counts[undirected(answer)][_taken_for(answer, found, other)] += 1
    columns = ("right", "reversed", "another relation", other)
    rows: list[tuple[str | int | float, ...]] = [
        (name, *(each[column] for column in columns), each.total()) for name, each in counts.items()
    ]
    return Table("Directions", ("relation", *columns, "all"), tuple(rows)) if rows else None


def _taken_for(gold: str, predicted: str, other: str) -> str:
    if gold == predicted:
        return "right"
    if predicted == other:
        return other
    return "reversed" if undirected(gold) == undirected(predicted) else "another relation"


def _baselines(gold: Sequence[str], predicted: Sequence[str], other: str) -> Table:
    """The scores beside those of answers that need no model."""
    frequent = Counter(gold).most_common(1)[0][0]
    named = Counter(label for label in gold if label != other).most_common(1)
    answers = {"the model": list(predicted)}
    answers |= {f"always {label}": [label] * len(gold) for label in dict.fromkeys([frequent, *(n for n, _ in named)])}
    keys = ("macro_f1", "micro_f1", "accuracy")
    scores = {name: relation_scores(gold, answer, other) for name, answer in answers.items()}
    rows: list[tuple[str | int | float, ...]] = [(name, *(each[key] for key in keys)) for name, each in scores.items()]
    return Table("Beside trivial answers", ("", *keys), tuple(rows))


def _row(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": record["id"],
        "text": record["text"],
        "first": record["first"],
        "second": record["second"],
        "gold": record["label"],
        "predicted": prediction["label"],
        "confidence": prediction["confidence"],
        "scores": dict(list(prediction["scores"].items())[:_MOST_SCORES]),
    }


def _mistakes(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The wrong answers, the surest first."""
    wrong = sorted((row for row in rows if row["predicted"] != row["gold"]), key=lambda row: -row["confidence"])
    return [
        {
            "id": row["id"],
            "text": tagged(row),
            "gold": row["gold"],
            "predicted": f"{row['predicted']} ({row['confidence']:.2f})",
        }
        for row in wrong
    ]


def _notes(split: str, gold: Sequence[str], labels: Sequence[str]) -> list[str]:
    absent = [label for label in labels if label not in set(gold)]
    shown = ", ".join(absent[:10]) + (" …" if len(absent) > 10 else "")
    return [f"{len(absent)} of {len(labels)} labels do not occur in {split}: {shown}."] if absent else []


def fit(task: Task, options: RelationOptions, model_type: str) -> Task:
    """The task with the options that evaluation and prediction need."""
    return replace(
        task,
        evaluate=partial(evaluate, other=options.other),
        read_text=partial(read_text, options=options),
        read_fields=partial(read_fields, options=options),
    )


TASK = Task(
    name="relation",
    output=ENTITY_PAIR,
    options=RelationOptions,
    headline="macro_f1",
    reading=Reading(fields=("text", "first", "second", "label"), labels=("label",)),
    prepare=prepare,
    evaluate=evaluate,
    read_text=partial(read_text, options=RelationOptions()),
    answer=answer_in_use,
    read_fields=partial(read_fields, options=RelationOptions()),
    fit=fit,
    example="<e1>Ada Lovelace</e1> lived in <e2>London</e2>.",
)
