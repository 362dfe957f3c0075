"""Which predictions become training data."""

from typing import Any

import pytest

from rag_lightning.rules.hits import Hit, hit_to_json
from rag_lightning.rules.self_training import confident_records


def texts(n: int) -> list[dict[str, Any]]:
    return [{"id": str(i), "text": f"text {i}"} for i in range(n)]


def predicted(*pairs: tuple[str, float]) -> list[dict[str, Any]]:
    return [{"label": label, "confidence": confidence} for label, confidence in pairs]


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def test_threshold() -> None:
    chosen = confident_records(texts(3), predicted(("a", 0.95), ("b", 0.5), ("b", 0.9)), threshold=0.9)
    assert [(r["id"], r["label"], r["confidence"]) for r in chosen] == [("0", "a", 0.95), ("2", "b", 0.9)]


def test_share_is_of_each_label() -> None:
    sure = [("a", 0.99 - i / 1000) for i in range(10)] + [("b", 0.6 + i / 1000) for i in range(5)] + [("c", 0.1)]
    chosen = confident_records(texts(16), predicted(*sure), share=0.2)
    assert ids(chosen) == ["0", "1", "14", "15"]


def test_both() -> None:
    chosen = confident_records(
        texts(4), predicted(("a", 0.9), ("a", 0.8), ("b", 0.3), ("b", 0.2)), threshold=0.5, share=0.5
    )
    assert ids(chosen) == ["0"]


@pytest.mark.parametrize(("share", "kept"), [(0.1, 1), (0.3, 3), (0.7, 7), (0.71, 8), (1.0, 10)])
def test_share_is_rounded_up(share: float, kept: int) -> None:
    assert len(confident_records(texts(10), predicted(*[("a", 0.5)] * 10), share=share)) == kept


def test_vetoed_predictions_are_left_out() -> None:
    records = texts(3)
    records[0]["hits"] = [hit_to_json(Hit(0, 1, "a", "no", 0, True))]
    records[1]["hits"] = [hit_to_json(Hit(0, 1, "b", "no", 0, True)), hit_to_json(Hit(0, 1, "a", "vote"))]
    assert ids(confident_records(records, predicted(("a", 0.9), ("a", 0.9), ("a", 0.9)))) == ["1", "2"]


def tagged(*sentences: tuple[str, list[float]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    records = [{"id": str(i), "tokens": tags.split()} for i, (tags, _) in enumerate(sentences)]
    return records, [{"tags": tags.split(), "confidence": confidence} for tags, confidence in sentences]


def test_a_sentence_is_as_sure_as_its_least_sure_word() -> None:
    records, predictions = tagged(("O B-PER", [0.99, 0.5]), ("O O", [0.9, 0.95]))
    assert ids(confident_records(records, predictions, threshold=0.9)) == ["1"]
    assert ids(confident_records(records, predictions, threshold=0.74, sentence="mean")) == ["0", "1"]
    assert confident_records(records, predictions)[0]["tags"] == ["O", "B-PER"]


def test_sentences_count_for_their_rarest_type() -> None:
    records, predictions = tagged(
        ("B-PER O", [0.9, 0.9]),
        ("B-PER O", [0.8, 0.8]),
        ("B-PER B-LOC", [0.6, 0.6]),
        ("O O", [0.99, 0.99]),
        ("O O", [0.98, 0.98]),
    )
    assert ids(confident_records(records, predictions, share=0.5)) == ["0", "2", "3"]


def test_a_veto_on_a_word_of_a_predicted_entity() -> None:
    records, predictions = tagged(("B-PER I-PER O", [0.9] * 3), ("O B-PER O", [0.9] * 3), ("O B-LOC O", [0.9] * 3))
    for record in records:
        record["hits"] = [hit_to_json(Hit(1, 2, "PER", "no", 0, True))]
    assert ids(confident_records(records, predictions)) == ["2"]


def test_sentences_without_words_are_left_out() -> None:
    records, predictions = tagged(("", []), ("O", [0.4]))
    assert ids(confident_records(records, predictions, threshold=0.1)) == ["1"]
