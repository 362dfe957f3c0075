"""Two finished runs in a row: one finds the entities of a text, the other says what holds between them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, islice
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError
from rag_lightning.inference.predicting import GROUP, Predictor
from rag_lightning.inference.saved import SavedRun
from rag_lightning.metrics.relations import undirected
from rag_lightning.tasks.forms.relation import RelationOptions, arguments, complete, is_directed

Entity = dict[str, Any]
Pair = tuple[int, int]  # places in a text's list of entities


class JointPredictor:
    """Answers texts with the entities that a NER run finds and the relations that a relation run sees between them.

    Args:
        relations: a finished run of task=relation.
        entities: a finished run of task=ner.
        most: pairs of entities that are looked at in a text, those nearest to each other first.

    Raises:
        UserError: if the runs are of other tasks.
    """

    def __init__(self, relations: Predictor, entities: Predictor, most: int) -> None:
        check_runs(relations.run, entities.run)
        self.relations, self.entities, self.most = relations, entities, most
        self.task = entities.run.task  # reads the input
        self.other = relations.run.options.other
        # A label with a direction tells what comes first in the relation; without one the pair itself has to.
        self.both_orders = not any(map(is_directed, relations.run.labels))

    def answers(self, records: Iterable[Record]) -> Iterator[dict[str, Any]]:
        """For each text, in order, ``{"text", "entities", "relations"}``, with ``id`` where the input has one.

        A relation is ``{"label", "relation", "arguments", "first", "second", "confidence"}``; ``first`` and ``second``
        are places in ``entities``, ``arguments`` the mentions in the order of the relation. Pairs without relation are
        left out. ``pairs_left_out`` counts those that were too many to be looked at, if there are any.
        """
        stream = iter(records)
        while group := list(islice(stream, GROUP)):
            found = [_in_text(answer) for answer in self.entities.answers(group)]
            pairs = [pairs_of(answer["entities"], self.both_orders) for answer in found]
            chosen = [each[: self.most] for each in pairs]
            seen = iter(self._relations(found, chosen))
            for answer, each, own in zip(found, pairs, chosen, strict=True):
                relations = [relation for relation in islice(seen, len(own)) if relation["label"] != self.other]
                relations.sort(key=lambda relation: (relation["first"], relation["second"]))
                left = {"pairs_left_out": len(each) - len(own)} if len(own) < len(each) else {}
                yield {**answer, "relations": relations, **left}

    def _relations(self, found: Sequence[dict[str, Any]], chosen: Sequence[Sequence[Pair]]) -> list[dict[str, Any]]:
        """What holds between the chosen pairs of all texts, one after the other."""
        places = [(answer, pair) for answer, pairs in zip(found, chosen, strict=True) for pair in pairs]
        options = self.relations.run.options
        records = [_record(answer["text"], answer["entities"], pair, options) for answer, pair in places]
        predictions = self.relations.predict(records) if records else []
        return [
            _relation(record, pair, prediction)
            for record, (_, pair), prediction in zip(records, places, predictions, strict=True)
        ]


def check_runs(relations: SavedRun, entities: SavedRun) -> None:
    """Raise a UserError where the two runs do not go together."""
    tasks = relations.task.name, entities.task.name
    if tasks == ("ner", "relation"):
        reason, where, remedy = "the two runs have changed places", "run", "Exchange run=… and ner=…."
    elif tasks[0] != "relation":
        reason, where = (
            f"ner=… finds the entities for a run of task=relation, and this is one of task={tasks[0]}",
            "run",
        )
        remedy = "Leave ner=… out, or give the folder of a relation run."
    elif tasks[1] != "ner":
        reason, where = f"the entities are found by a run of task=ner, and this one is of task={tasks[1]}", "ner"
        remedy = "Train one: python -m rag_lightning.train task=ner."
    else:
        return
    raise UserError(reason, where=where, remedy=remedy)


def pairs_of(entities: Sequence[Entity], both_orders: bool) -> list[Pair]:
    """All pairs of different entities that do not overlap, the nearest first.

    Args:
        entities: with ``start`` and ``end``, in the order of the text.
        both_orders: also the second entity as the first; else the first is the one that stands first.
    """
    pairs = [
        (one, other) for one, other in combinations(range(len(entities)), 2)
        if entities[one]["end"] <= entities[other]["start"]
    ]  # fmt: skip
    pairs.sort(key=lambda pair: (entities[pair[1]]["start"] - entities[pair[0]]["end"], pair))
    return [each for pair in pairs for each in ((pair, pair[::-1]) if both_orders else (pair,))]


def _in_text(answer: dict[str, Any]) -> dict[str, Any]:
    """A NER run's answer with places in characters, also where the input was words."""
    entities = [dict(entity) for entity in answer["entities"]]
    if "text" not in answer:
        tokens = answer["tokens"]
        starts = [0]
        for token in tokens:
            starts.append(starts[-1] + len(token) + 1)
        for entity in entities:
            entity.update(start=starts[entity["start"]], end=starts[entity["end"]] - 1)
        answer = {**answer, "text": " ".join(tokens)}
    shown = [{**entity, "text": answer["text"][entity["start"] : entity["end"]]} for entity in entities]
    own = {"id": answer["id"]} if "id" in answer else {}
    return {**own, "text": answer["text"], "entities": shown}


def _record(text: str, entities: Sequence[Entity], pair: Pair, options: RelationOptions) -> Record:
    sides = {
        side: {key: entities[place][key] for key in ("start", "end", "text", "type")}
        for side, place in zip(("first", "second"), pair, strict=True)
    }
    return complete({"text": text, **sides}, options)


def _relation(record: Record, pair: Pair, prediction: dict[str, Any]) -> dict[str, Any]:
    label = prediction["label"]
    return {
        "label": label,
        "relation": undirected(label),
        "arguments": [record[f"{side}_text"] for side in arguments(label)],
        "first": pair[0],
        "second": pair[1],
        "confidence": prediction["confidence"],
    }
