"""Which predictions become training data."""

from typing import Any

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
    assert confident_records(records, predictions)[0]["tags"] == ["O", "B-PER"]


def test_a_veto_on_a_word_of_a_predicted_entity() -> None:
    records, predictions = tagged(("B-PER I-PER O", [0.9] * 3), ("O B-PER O", [0.9] * 3), ("O B-LOC O", [0.9] * 3))
    for record in records:
        record["hits"] = [hit_to_json(Hit(1, 2, "PER", "no", 0, True))]
    assert ids(confident_records(records, predictions)) == ["2"]


def test_sentences_without_words_are_left_out() -> None:
    records, predictions = tagged(("", []), ("O", [0.4]))
    assert ids(confident_records(records, predictions, threshold=0.1)) == ["1"]
