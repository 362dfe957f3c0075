"""Scores of classes, against numbers worked out by hand."""

import pytest

from rag_lightning.metrics.classes import class_scores, class_table, confused_pairs, confusion_of, overall_scores

GOLD = ["a", "a", "a", "b", "b", "c"]
PREDICTED = ["a", "a", "b", "b", "c", "c"]


def test_scores_by_hand():
    scores = class_scores(GOLD, PREDICTED, ["a", "b", "c", "never"])
    assert list(scores) == ["a", "b", "c", "macro avg", "weighted avg"]
    assert scores["a"] == pytest.approx({"precision": 1, "recall": 2 / 3, "f1-score": 0.8, "support": 3})
    overall = overall_scores(GOLD, PREDICTED, scores)
    assert overall["accuracy"] == pytest.approx(4 / 6)
    assert overall["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert overall["weighted_f1"] == pytest.approx((3 * 0.8 + 2 * 0.5 + 2 / 3) / 6)
    # (c s - sum p t) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)) with s = 6, c = 4, p = t' = (2, 2, 2), t = (3, 2, 1)
    assert overall["mcc"] == pytest.approx((4 * 6 - 12) / ((36 - 12) * (36 - 14)) ** 0.5)


def test_one_class_only_is_no_correlation():
    scores = class_scores(["a", "a"], ["a", "a"], ["a", "b"])
    assert overall_scores(["a", "a"], ["a", "a"], scores) == {"accuracy": 1, "macro_f1": 1, "weighted_f1": 1, "mcc": 0}


def test_labels_may_have_the_names_of_averages():
    scores = class_scores(["accuracy", "b"], ["accuracy", "accuracy"], ["accuracy", "b"])
    assert scores["accuracy"]["recall"] == 1 and scores["b"]["f1-score"] == 0


def test_tables_stay_short_with_many_classes():
    names = [f"class {i:02d}" for i in range(77)]
    predicted = [names[(i + 1) % 77] if i < 20 else name for i, name in enumerate(names)]
    table = class_table(class_scores(names, predicted, names))
    assert len(table.rows) == 15 + 2 and table.note.startswith("the 15 of 77 classes with the lowest F1")
    assert table.rows[0][3] == 0.0 and [row[0] for row in table.rows[-2:]] == ["macro avg", "weighted avg"]
    pairs = confused_pairs(names, predicted)
    assert pairs is not None and len(pairs.rows) == 10 and pairs.note == "the 10 most frequent of 20 pairs"
    few = class_table(class_scores(GOLD, PREDICTED, ["a", "b", "c"]))
    assert few.title == "Classes" and [row[0] for row in few.rows[:3]] == ["a", "b", "c"]


def test_confusions():
    assert confusion_of(GOLD, PREDICTED, ["a", "b", "c"]).counts == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    pairs = confused_pairs(GOLD, PREDICTED)
    assert pairs is not None and pairs.rows == (("a", "b", 1, 1 / 3), ("b", "c", 1, 1 / 2))
    assert confused_pairs(GOLD, GOLD) is None
