"""Our counts give the numbers of the libraries' reports."""

import random

import pytest
from seqeval.metrics import classification_report as of_entities
from seqeval.scheme import IOB2
from sklearn.metrics import classification_report as of_tokens
from sklearn.metrics import confusion_matrix

from rag_lightning.metrics.entities import entity_scores
from rag_lightning.metrics.tokens import tag_confusion, token_scores

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-RARE", "I-RARE")


def sequences(seed: int, rows: int = 30) -> tuple[list[list[str]], list[list[str]]]:
    """Gold and predicted tags, wrong ones among them; some types only on one side."""
    draw = random.Random(seed)
    lengths = [draw.randint(1, 12) for _ in range(rows)]
    gold = [[draw.choice(LABELS[: 5 + 2 * (seed % 2)]) for _ in range(n)] for n in lengths]
    predicted = [[tag if draw.random() < 0.6 else draw.choice(LABELS) for tag in tags] for tags in gold]
    return gold, predicted


@pytest.mark.parametrize("seed", range(20))
def test_entities_as_seqeval_counts_them(seed: int) -> None:
    gold, predicted = sequences(seed)
    expected = of_entities(gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    found = entity_scores(gold, predicted)
    assert list(found) == list(expected)
    for name, row in expected.items():
        assert found[name] == pytest.approx({key: float(value) for key, value in row.items()}, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_tokens_as_sklearn_counts_them(seed: int) -> None:
    gold, predicted = sequences(seed)
    flat = [[tag for tags in each for tag in tags] for each in (gold, predicted)]
    expected = of_tokens(*flat, labels=list(LABELS), output_dict=True, zero_division=0)
    accuracy = expected.pop("accuracy")
    found = token_scores(gold, predicted, LABELS)
    for name, row in expected.items():
        assert found[name] == pytest.approx(row, abs=1e-12)
    assert found["micro avg"] == pytest.approx(
        {"precision": accuracy, "recall": accuracy, "f1-score": accuracy, "support": len(flat[0])}
    )
    assert tag_confusion(gold, predicted, LABELS).counts == tuple(
        map(tuple, confusion_matrix(*flat, labels=list(LABELS)).tolist())
    )


def test_no_entity_at_all_has_no_scores() -> None:
    assert entity_scores([["O", "O"]], [["O", "I-PER"]]) == {}


def test_a_side_without_entities_scores_nothing() -> None:
    assert entity_scores([["B-PER"]], [["O"]])["micro avg"] == {
        "precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 1.0
    }  # fmt: skip
    assert entity_scores([["O"]], [["B-PER"]])["weighted avg"]["f1-score"] == 0.0
