"""Relation extraction: what holds between two entities of a text; labels may say in which direction."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_lightning.data.nested_values import read_mention
from rag_lightning.data.offsets import check_offsets
from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError
from rag_lightning.metrics.classes import confused_pairs, confusion_of
from rag_lightning.metrics.entities import score_table
from rag_lightning.metrics.relations import OTHER, relation_scores, relation_table, undirected
from rag_lightning.tasks import classification
from rag_lightning.tasks.entity_marks import SIDES, read_tagged, tagged, with_marks
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.outputs.entity_pair import ENTITY_PAIR
from rag_lightning.tasks.task import Prepared, Task

_MOST_SCORES = 5  # labels whose probability predictions.jsonl keeps
_FIRST_TO_SECOND = re.compile(r"\(\s*(?:e1\s*,\s*e2|first\s*,\s*second)\s*\)$")
_SECOND_TO_FIRST = re.compile(r"\(\s*(?:e2\s*,\s*e1|second\s*,\s*first)\s*\)$")


class RelationOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "relation"
    labels: list[str] | None = Field(None, description="all labels, with directions; null: those of the training data")
    other: str = Field(OTHER, description="the label for none of the relations, which the F1 scores leave out")
    types: dict[str, str] = Field(
        default_factory=dict, description="entity types in words, for {typed}; others stand there in lower case"
    )
    cues: Literal["between", "text"] = Field(
        "between", description="what rules read: from the one entity to the other, both included, or the whole text"
    )


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


def complete(record: Record, options: RelationOptions) -> Record:
    """A record of ``text``, ``first`` and ``second`` with all that follows from them.

    Raises:
        UserError: for an entity that is given without its place and does not stand in the text once.
    """
    where = str(record.get("source", "an example"))
    made = with_marks({**record, **{side: _placed(side, record, where) for side in SIDES}}, options.types)
    if options.cues == "between":
        made["stretch"] = [min(made[side]["start"] for side in SIDES), max(made[side]["end"] for side in SIDES)]
    return made


def _placed(side: str, record: Record, where: str) -> dict[str, Any]:
    """An entity with its place; one that is given by its text alone has to stand there once."""
    given, text = record[side], record["text"]
    if not isinstance(given, str):
        return dict(given)
    places = [match.start() for match in re.finditer(re.escape(given), text)] if given.strip() else []
    if len(places) == 1:
        return {"start": places[0], "end": places[0] + len(given), "text": given}
    times = "several times" if places else "nowhere"
    start, end = (places[0], places[0] + len(given)) if places else (0, 3)
    raise UserError(
        f"the {side} entity {shorten(given, 40)!r} stands {times} in the text",
        where=where,
        remedy=f'Give its place, as in "{side}": {{"start": {start}, "end": {end}}}; the end is exclusive.',
    )


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


def is_directed(label: str) -> bool:
    """Whether a label says which entity comes first in the relation."""
    return undirected(label) != label


def arguments(label: str) -> tuple[str, str]:
    """The sides in the order of the relation: (second, first) for ``Cause-Effect(e2,e1)``."""
    return ("second", "first") if _SECOND_TO_FIRST.search(label) else ("first", "second")


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


def read_text(line: str, options: RelationOptions) -> Record:
    """A line of plain text in which ``<e1>…</e1>`` and ``<e2>…</e2>`` (or ``<e1:PER>``) mark the entities."""
    return complete(read_tagged(line), options)


def read_fields(given: dict[str, Any], where: str, options: RelationOptions) -> Record:
    """A JSON object with ``text``, ``first`` and ``second``, or with a ``text`` that has the tags.

    Raises:
        UserError: for another form, or an entity that is not in the text.
    """
    text = given.get("text")
    if not isinstance(text, str) or (any(given.get(side) is None for side in SIDES) and "<e1" not in text):
        raise UserError(
            "an input needs text, first and second",
            where=where,
            remedy='As {"text": "Ada lived in Ghent.", "first": {"start": 0, "end": 3}, "second": {"start": 13, '
            '"end": 18}}, or {"text": "<e1>Ada</e1> lived in <e2>Ghent</e2>."}.',
        )
    if any(given.get(side) is None for side in SIDES):
        return complete(read_tagged(text, where), options)
    config = DataConfig(name="input", format="jsonl")
    record = {"text": text, **{side: read_mention(given[side], config, where) for side in SIDES}}
    return complete({**check_offsets(record, where), "source": where}, options)


def answer(record: Record, prediction: dict[str, Any]) -> dict[str, Any]:
    """The label, its probability, those of all labels, and the mentions in the order that the label gives them.

    ``cut`` counts the tokens that found no room, if any.
    """
    label = prediction["label"]
    given = {
        **{key: record[key] for key in ("text", *SIDES)},
        "label": label,
        "relation": undirected(label),
        "arguments": [record[f"{side}_text"] for side in arguments(label)],
        **{key: prediction[key] for key in ("confidence", "scores")},
    }
    return {**given, "cut": prediction["cut"]} if prediction["cut"] else given


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
    answer=answer,
    read_fields=partial(read_fields, options=RelationOptions()),
    fit=fit,
    example="<e1>Ada Lovelace</e1> lived in <e2>London</e2>.",
)
