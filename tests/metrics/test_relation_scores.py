"""The official SemEval-2010 Task 8 score, against small tables counted by hand."""

import pytest

from rag_lightning.metrics.entities import score_table
from rag_lightning.metrics.relations import relation_scores, relation_table, undirected

CE, CE_BACK = "Cause-Effect(e1,e2)", "Cause-Effect(e2,e1)"
CW, CW_BACK = "Component-Whole(e1,e2)", "Component-Whole(e2,e1)"

# Cause-Effect: 5 gold, 3 right, 1 reversed, 1 taken for Component-Whole.
# Component-Whole: 3 gold, 2 right, 1 taken for Other.   Other: 2 gold, 1 right, 1 taken for Cause-Effect.
GOLD = [CE, CE, CE_BACK, CE, CE] + [CW, CW_BACK, CW] + ["Other", "Other"]
PREDICTED = [CE, CE, CE_BACK, CE_BACK, CW_BACK] + [CW, CW_BACK, "Other"] + ["Other", CE]


def test_by_hand():
    scores = relation_scores(GOLD, PREDICTED)
    # Cause-Effect: P = 3 / (4 proposed + 1 reversed), R = 3 / 5. Component-Whole: P = 2 / 3, R = 2 / 3.
    assert scores["Cause-Effect/f1"] == pytest.approx(3 / 5)
    assert scores["Component-Whole/f1"] == pytest.approx(2 / 3)
    assert scores["macro_f1"] == pytest.approx((3 / 5 + 2 / 3) / 2)
    assert scores["macro_precision"] == pytest.approx((3 / 5 + 2 / 3) / 2)
    # Micro without Other: 5 right of 8 proposed and 8 gold.
    assert scores["micro_f1"] == pytest.approx(5 / 8)
    assert scores["accuracy"] == pytest.approx(6 / 10)
    assert scores["wrong_direction"] == pytest.approx(1 / 10)
    assert "Other/f1" not in scores


def test_direction_counts():
    assert relation_scores([CE], [CE_BACK])["macro_f1"] == 0.0
    assert relation_scores([CE], [CE])["macro_f1"] == 1.0
    # Reversed beside right: a miss and a false alarm for one class, P = R = 1/2.
    assert relation_scores([CE, CE_BACK], [CE, CE]) == pytest.approx({
        "macro_f1": 0.5, "macro_precision": 0.5, "macro_recall": 0.5, "micro_f1": 0.5, "micro_precision": 0.5,
        "micro_recall": 0.5, "accuracy": 0.5, "wrong_direction": 0.5, "Cause-Effect/f1": 0.5,
    })  # fmt: skip


def test_precision_and_recall_apart():
    # Everything is called Cause-Effect: P = 2/4, R = 2/2; Component-Whole 0.
    scores = relation_scores([CE, CE, CW, "Other"], [CE] * 4)
    assert scores["macro_precision"] == pytest.approx(1 / 4)
    assert scores["macro_recall"] == pytest.approx(1 / 2)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert (scores["micro_precision"], scores["micro_recall"]) == pytest.approx((2 / 4, 2 / 3))


def test_a_relation_that_is_never_right_counts_as_other():
    scores = relation_scores([CE, "Other", "Other"], [CE, CW, "Other"])
    assert scores["macro_f1"] == scores["micro_f1"] == 1.0  # as the official scorer: Component-Whole is not in the key
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert "Component-Whole/f1" not in scores


def test_other_alone():
    scores = relation_scores(["none", "none"], ["none", "r(a,b)"], other="none")
    assert scores["macro_f1"] == scores["micro_f1"] == 0.0 and scores["accuracy"] == 0.5


def test_direction_may_be_written_otherwise_or_be_absent():
    assert undirected("works_for(second,first)") == "works_for"
    assert undirected("born_in (e1, e2)") == "born_in"
    assert undirected("sibling") == "sibling"
    assert undirected("part (of)") == "part (of)"
    assert relation_scores(["sibling", "near"], ["sibling", "near"])["macro_f1"] == 1.0


def test_table_renders_with_averages_last():
    table = score_table("Relations", relation_table(GOLD, PREDICTED))
    assert [row[0] for row in table.rows] == ["Cause-Effect", "Component-Whole", "micro avg", "macro avg"]
    assert table.rows[0] == ("Cause-Effect", 3 / 5, 3 / 5, 3 / 5, 5)
    assert table.rows[-1][-1] == 8


def test_lists_must_fit():
    with pytest.raises(ValueError):
        relation_scores([CE, CE], [CE])
    with pytest.raises(ValueError, match="no relations"):
        relation_scores([], [])
