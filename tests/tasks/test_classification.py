"""Text classification as a task: labels, notes, and what an evaluation holds."""

import pytest

from rag_lightning.errors import UserError
from rag_lightning.tasks.classification import TASK, ClassificationOptions, in_order


def records(*rows):
    return [
        {"id": str(i), "source": f"f:{i + 1}", "text": text, "label": label} for i, (text, label) in enumerate(rows)
    ]


def prepare(splits, **options):
    return TASK.prepare(splits, ClassificationOptions(**options))


TRAIN = records(("one", "b"), ("two", "a"), ("three", "b"))


def test_labels_are_those_of_train_in_order():
    prepared = prepare({"train": TRAIN, "test": TRAIN[:1], "unlabelled": [{"id": "u", "text": "x"}]})
    assert prepared.labels == ("a", "b") and prepared.notes == []
    assert prepared.splits["unlabelled"] == [{"id": "u", "text": "x"}]
    assert in_order({"10", "9", "b", "A"}) == ["9", "10", "A", "b"]
    assert prepare({"train": TRAIN}, labels=["b", "a"]).labels == ("b", "a")


def test_a_label_that_train_lacks():
    test = records(("x", "a"), ("y", "Ab"))
    with pytest.raises(UserError, match=r"f:2: the test data have the label 'Ab', which the training data does not"):
        prepare({"train": TRAIN, "test": test})
    prepared = prepare({"train": TRAIN, "test": test}, labels=["a", "b", "Ab"])
    assert prepared.notes == ["1 of 3 labels have no training example: Ab."]
    with pytest.raises(UserError, match="the train data have the label 'b', which task.labels does not have"):
        prepare({"train": TRAIN}, labels=["a", "c"])


def test_one_label_is_none():
    with pytest.raises(UserError, match="f:1: 'b' is the only label of the training data.*at least two"):
        prepare({"train": TRAIN[:1]})


def test_texts_with_two_labels_are_noted():
    train = records(("same  text", "a"), ("same text", "b"), ("other", "a"))
    assert prepare({"train": train}).notes == ["1 text of train stands there with different labels."]


def prediction(**scores):
    ordered = dict(sorted(scores.items(), key=lambda item: -item[1]))
    label, confidence = next(iter(ordered.items()))
    return {"label": label, "confidence": confidence, "scores": ordered, "cut": 0}


def test_an_evaluation():
    gold = records(("one", "a"), ("two", "a"), ("three", "b"), ("four", "b"))
    predictions = [
        prediction(a=0.9, b=0.1),
        prediction(a=0.4, b=0.6),
        prediction(a=0.8, b=0.2),
        prediction(a=0.1, b=0.9),
    ]
    found = TASK.evaluate("test", gold, predictions, ("a", "b", "c"))
    assert found.headline == TASK.headline == "accuracy"
    assert found.metrics["accuracy"] == 0.5 and found.metrics["mcc"] == 0.0
    assert found.metrics["a/f1"] == found.metrics["macro_f1"] == 0.5
    assert [table.title for table in found.tables] == ["Classes", "Confused classes"]
    # the surest mistake first
    assert [(m["text"], m["gold"], m["predicted"]) for m in found.mistakes] == [
        ("three", "b", "a (0.80)"), ("two", "a", "b (0.60)"),
    ]  # fmt: skip
    assert found.notes == ["1 of 3 labels do not occur in test: c."]
    assert found.predictions[0] == {
        "id": "0", "text": "one", "gold": "a", "predicted": "a", "confidence": 0.9, "scores": {"a": 0.9, "b": 0.1},
    }  # fmt: skip


def test_answers():
    given = prediction(a=0.25, b=0.75)
    assert TASK.answer(TASK.read_text("hello"), given) == {
        "text": "hello", "label": "b", "confidence": 0.75, "scores": {"b": 0.75, "a": 0.25},
    }  # fmt: skip
    assert TASK.answer({"tokens": ["hello", "you"]}, {**given, "cut": 3})["cut"] == 3
