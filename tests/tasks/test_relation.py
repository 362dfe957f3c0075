"""Relation extraction as a task: records, labels, scores, and what prediction reads and answers."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from data_yaml import RELATIONS, composed

from rag_lightning.data.load import load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.errors import UserError
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.load import load_rules
from rag_lightning.tasks.entity_marks import read_tagged
from rag_lightning.tasks.forms.relation import RelationOptions, arguments
from rag_lightning.tasks.relation import TASK, evaluate

A, B, OTHER = "Made(e1,e2)", "Made(e2,e1)", "Other"
TYPES = {"PER": "person"}


def record(marked: str, label: str | None = None, **more: Any) -> Record:
    made = {"id": marked, "source": "f:1", **read_tagged(marked), **more}
    return made if label is None else {**made, "label": label}


TRAIN = [
    record("<e1>Ada</e1> made <e2>it</e2>", B),
    record("<e1>It</e1> was made by <e2>Ada</e2>", A),
    record("<e1>Ada</e1> saw <e2>it</e2>", OTHER),
]


def prepare(train: list[Record], **options: Any) -> Any:
    return TASK.prepare({"train": train}, RelationOptions(types=TYPES, **options))


def test_it_reads_relations() -> None:
    assert TASK.reading == RELATIONS and TASK.of_named_labels and not TASK.of_tokens


def test_records_show_their_entities() -> None:
    prepared = prepare(TRAIN)
    assert prepared.labels == (A, B, OTHER) and prepared.notes == []
    made = prepared.splits["train"][0]
    assert made["text"] == "Ada made it" and made["marked"] == "@ Ada @ made # it #"
    assert (made["first_text"], made["second_text"], made["label"]) == ("Ada", "it", B)
    assert "typed" not in made


def test_an_entity_given_by_its_text_has_to_stand_there_once() -> None:
    given = {"source": "f:7", "text": "Ada saw Ghent and Ada.", "second": "Ghent", "label": A}
    whole = {**given, "first": {"start": 0, "end": 3}}
    assert prepare([whole, *TRAIN]).splits["train"][0]["second"] == {"start": 8, "end": 13, "text": "Ghent"}
    for side, how in (("Ada", "several times"), ("Eve", "nowhere"), (" ", "nowhere")):
        with pytest.raises(UserError, match=rf"f:7: the first entity '{side}' stands {how} in the text"):
            prepare([{**given, "first": side}, *TRAIN])
    with pytest.raises(UserError, match=r'"second": \{"start": 4, "end": 7\}; the end is exclusive'):
        prepare([{**whole, "second": "saw", "text": "Ada saw what she saw."}, *TRAIN])


def test_the_label_for_no_relation() -> None:
    assert prepare(TRAIN, other="no_relation").notes == [
        "No label is called 'no_relation' (task.other), so that all of them count in the F1 scores."
    ]
    with pytest.raises(UserError, match=r"the train data have the label 'Other', which task.labels does not have"):
        prepare(TRAIN, labels=[A, B])


def test_one_sentence_may_have_several_pairs() -> None:
    pairs = [record("<e1>Ada</e1> made <e2>it</e2> up", B), record("Ada <e1>made</e1> <e2>it</e2> up", OTHER)]
    assert not any("different labels" in note for note in prepare([*pairs, *TRAIN]).notes)
    again = prepare([*pairs, {**pairs[0], "label": A}])
    assert again.notes == ["1 text of train stands there with different labels."]


def prediction(label: str, confidence: float = 0.9) -> dict[str, Any]:
    return {"label": label, "confidence": confidence, "scores": {label: confidence}, "cut": 0}


def test_an_evaluation_counts_directions_and_leaves_other_out() -> None:
    gold = [A, A, A, B, OTHER, OTHER]
    answers = [A, B, OTHER, B, A, OTHER]
    records = prepare([record(f"<e1>a{i}</e1> <e2>b</e2>", label) for i, label in enumerate(gold)]).splits["train"]
    predictions = [prediction(label, 0.9 - i / 10) for i, label in enumerate(answers)]
    found = evaluate("test", records, predictions, (A, B, OTHER))
    assert found.headline == TASK.headline == "macro_f1"
    assert found.metrics["macro_f1"] == found.metrics["Made/f1"] == pytest.approx(2 * 2 / (4 + 4))
    assert found.metrics["accuracy"] == 0.5 and found.metrics["wrong_direction"] == pytest.approx(1 / 6)
    tables = {table.title: table for table in found.tables}
    assert list(tables) == ["Relations", "Directions", "Confused classes", "Beside trivial answers"]
    assert tables["Directions"].columns == ("relation", "right", "reversed", "another relation", "Other", "all")
    assert tables["Directions"].rows == (("Made", 2, 1, 0, 1, 4),)
    assert tables["Relations"].note == "direction counts; Other is left out"
    trivial = {row[0]: row[1:] for row in tables["Beside trivial answers"].rows}
    assert trivial["the model"] == pytest.approx((0.5, 0.5, 0.5))
    assert trivial[f"always {A}"] == pytest.approx((2 * 3 / 10, 2 * 3 / 10, 0.5))
    assert [row["text"] for row in found.mistakes] == [
        "<e1>a1</e1> <e2>b</e2>", "<e1>a2</e1> <e2>b</e2>", "<e1>a4</e1> <e2>b</e2>",
    ]  # fmt: skip
    assert found.confusion is not None and found.confusion.counts[0] == (1, 1, 1)


def test_labels_without_direction_or_other() -> None:
    labels = ("lives", "works")
    records = prepare([record(f"<e1>a{i}</e1> <e2>b</e2>", label) for i, label in enumerate(labels)]).splits["train"]
    found = evaluate("test", records, [prediction(label) for label in labels], labels)
    assert found.metrics["macro_f1"] == 1.0
    assert [table.title for table in found.tables] == ["Relations", "Beside trivial answers"]
    assert found.tables[0].note == ""


def test_the_task_knows_its_options() -> None:
    task = TASK.fit(TASK, RelationOptions(other="none", types=TYPES), "bert")
    records = prepare([record("<e1>a</e1> <e2>b</e2>", "x"), record("<e1>c</e1> <e2>d</e2>", "none")]).splits["train"]
    found = task.evaluate("test", records, [prediction("x"), prediction("x")], ("x", "none"))
    assert found.metrics["macro_f1"] == pytest.approx(2 / 3)
    assert task.read_text("<e1:PER>Ada</e1> met <e2>Eve</e2>")["typed"] == "@ * person * Ada @ met # ^ entity ^ Eve #"


@pytest.mark.parametrize(
    "given",
    [
        {"text": "Ada in Ghent", "first": {"start": 0, "end": 3}, "second": {"start": 7, "end": 12, "text": "Ghent"}},
        {"text": "Ada in Ghent", "first": "Ada", "second": "Ghent"},
        {"text": "<e1>Ada</e1> in <e2>Ghent</e2>", "first": None},
    ],
)
def test_json_objects_for_prediction(given: dict[str, Any]) -> None:
    assert TASK.read_fields is not None
    assert TASK.read_fields(given, "in.jsonl:1")["marked"] == "@ Ada @ in # Ghent #"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": "Ada in Ghent"}, "an input needs text, first and second"),
        ({"first": "Ada", "second": "Ghent"}, "an input needs text, first and second"),
        ({"text": "Ada in Ghent", "first": "Eve", "second": "Ghent"}, "the first entity 'Eve' stands nowhere"),
        ({"text": "Ada", "first": {"start": 0, "end": 9}, "second": "Ada"}, "the first entity 0–9 does not lie in"),
        ({"text": "Ada", "first": {"start": 0}, "second": "Ada"}, "each side of a pair"),
        ({"text": "Ada", "first": {"start": 0, "end": 3, "text": "Eve"}, "second": "Ada"}, "has 'Ada' there, not 'Ev"),
        ({"text": "<e1>Ada</e1>"}, "does not mark one <e1>"),
    ],
)  # fmt: skip
def test_other_objects_are_refused_with_their_place(given: dict[str, Any], said: str) -> None:
    assert TASK.read_fields is not None
    with pytest.raises(UserError, match=said) as caught:
        TASK.read_fields(given, "in.jsonl:4")
    assert caught.value.where == "in.jsonl:4"


def test_answers_name_the_arguments_in_the_order_of_the_relation() -> None:
    made = TASK.read_text("<e1>It</e1> was made by <e2>Ada</e2>")
    answer = TASK.answer(made, {**prediction(B), "cut": 0})
    assert (answer["relation"], answer["arguments"], answer["label"]) == ("Made", ["Ada", "It"], B)
    assert "cut" not in answer
    assert TASK.answer(made, {**prediction(A), "cut": 3})["arguments"] == ["It", "Ada"]
    assert arguments("x( second , first )") == ("second", "first")
    assert arguments("lives_in") == arguments("x(first,second)") == ("first", "second")


def test_rules_read_from_one_entity_to_the_other() -> None:
    engine = RuleEngine(load_rules({"rules": {"by": {"pattern": "by", "label": A}, "it": {"lexicon": "it", "label": B}},
                                    "lexicons": {"it": ["it"]}}))  # fmt: skip
    text = "by and by <e1>it</e1> came by <e2>Ada</e2> by"
    [between] = engine.annotate(prepare([record(text, A), *TRAIN]).splits["train"][:1])
    assert [(hit[0], hit[1], hit[2]) for hit in between["hits"]] == [(10, 12, B), (18, 20, A)]
    [whole] = engine.annotate(prepare([record(text, A), *TRAIN], cues="text").splits["train"][:1])
    assert [hit[0] for hit in whole["hits"]] == [0, 7, 10, 18, 25]


def test_semeval_2010_task_8(shared: Path) -> None:
    path = shared / "data" / "semeval2010_task8"
    if not path.is_dir():
        pytest.skip("no SemEval-2010 Task 8")
    loaded = load_splits(DataConfig(**{**composed("semeval2010"), "path": str(path)}), 1, TASK.reading)
    prepared = TASK.prepare(loaded.splits, RelationOptions())
    assert {name: len(records) for name, records in prepared.splits.items()} == {
        "train": 7200, "validation": 800, "test": 2717,
    }  # fmt: skip
    assert len(prepared.labels) == 19
    relations = {label.partition("(")[0] for label in prepared.labels}
    assert relations == {
        "Cause-Effect", "Component-Whole", "Content-Container", "Entity-Destination", "Entity-Origin",
        "Instrument-Agency", "Member-Collection", "Message-Topic", "Product-Producer", "Other",
    }  # fmt: skip
    test = prepared.splits["test"]
    assert Counter(record["label"] for record in test)["Other"] == 454
    assert all(record["first"]["end"] <= record["second"]["start"] for record in test)
    assert all(record["marked"].split().count("@") >= 2 and "typed" not in record for record in test)
    always = evaluate("test", test, [prediction(record["label"]) for record in test], prepared.labels)
    assert always.metrics["macro_f1"] == 1.0
    assert len([key for key in always.metrics if key.endswith("/f1")]) == 9
