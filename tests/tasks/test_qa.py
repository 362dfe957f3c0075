"""The task of question answering: silence chosen on validation, scores by script, what users give and get."""

from types import SimpleNamespace
from typing import Any

import pytest

from rag_lightning.decoding.answers import THRESHOLD
from rag_lightning.errors import UserError
from rag_lightning.tasks.qa import (
    TASK,
    QaOptions,
    answer,
    choose_threshold,
    evaluate,
    fit,
    prepare,
    read_fields,
    read_text,
)

TEXT = "Ada was born in London. She moved to the old house in Ghent in 1835."


def record(number: int, *answers: str, question: str = "Where was Ada born?", text: str = TEXT) -> dict[str, Any]:
    return {
        "id": str(number), "question": question, "text": text,
        "answers": [{"text": each, "answer_start": text.index(each)} for each in answers],
    }  # fmt: skip


def prediction(
    best: str, difference: float = -1.0, *, threshold: float | None = None, text: str = TEXT
) -> dict[str, Any]:
    start = text.index(best)
    found = {"answer": best, "confidence": 0.5, "start": start, "end": start + len(best)}
    silent = {"answer": "", "confidence": 0.3, "start": None, "end": None}
    given = silent if threshold is not None and difference > threshold else found
    return {**given, "n_best": [found], "no_answer": 0.3, "difference": difference, "threshold": threshold}


def chosen(records: list[dict[str, Any]], predictions: list[dict[str, Any]], **options: Any) -> float | None:
    network = SimpleNamespace(config=SimpleNamespace())
    choose_threshold(network, records, predictions, options=QaOptions(**options))
    found: float | None = getattr(network.config, THRESHOLD)
    return found


def test_the_threshold_is_the_one_with_the_best_f1() -> None:
    records = [record(1, "London"), record(2, "Ghent"), record(3), record(4)]
    predictions = [prediction("London", -3), prediction("Ghent", 0.5), prediction("1835", 2), prediction("Ada", 1)]
    assert chosen(records, predictions) == 0.75  # half way between two questions
    assert chosen(records, predictions, no_answer=False) is None
    assert chosen(records[:2], predictions[:2]) is None
    assert chosen(records[:2], predictions[:2], no_answer=True) == 0.0


def test_scores_with_and_without_answer() -> None:
    records = [record(1, "London", "in London"), record(2, "the old house"), record(3)]
    predictions = [prediction("London"), prediction("old house in Ghent"), prediction("Ada", 5.0, threshold=0.5)]
    found = evaluate("test", records, predictions, (), options=QaOptions())
    assert found.metrics["exact_match"] == pytest.approx(2 / 3)
    assert found.metrics["HasAns/f1"] == pytest.approx((1 + 2 * 2 / 6) / 2)
    assert found.metrics["NoAns/exact_match"] == 1.0
    assert set(found.metrics) == {
        f"{part}{name}" for part in ("", "HasAns/", "NoAns/") for name in ("exact_match", "f1")
    }
    assert [row["id"] for row in found.mistakes] == ["2"] and "the old house" in found.mistakes[0]["gold"]
    compared = {row[0]: row for row in found.tables[1].rows}
    assert compared["never an answer"][1] == pytest.approx(1 / 3)
    assert 0 < compared["the sentence most like the question"][2] < compared["this model"][2]
    assert found.tables[2].rows[0][:2] == ("where", 3)
    assert found.predictions[2]["predicted"] == "" and found.predictions[2]["n_best"]


@pytest.mark.parametrize(("by_character", "f1"), [("auto", 0.8), (True, 0.8), (False, 0.0)])
def test_chinese_is_scored_by_character(by_character: Any, f1: float) -> None:
    text = "北京大学创办于1898年，是中国的国立大学。"
    records = [record(1, "国立大学", question="北大是什么？", text=text)]
    found = evaluate(
        "test", records, [prediction("的国立大学。", text=text)], (), options=QaOptions(by_character=by_character)
    )
    expected = 2 * 4 / (4 + 5) if f1 else 0.0  # the full stop is no character of the answer
    assert found.metrics["f1"] == pytest.approx(expected)
    assert ("by character" in found.tables[0].note) == bool(f1)
    assert len(found.tables) == 2, "no table by English question words"


def test_the_context_becomes_the_text_that_rules_read() -> None:
    splits = {"train": [{"id": "1", "question": "Who?", "context": "Ada.", "answers": []}], "unlabelled": []}
    prepared = prepare(splits, QaOptions())
    assert prepared.splits["train"] == [{"id": "1", "question": "Who?", "text": "Ada.", "answers": []}]
    assert prepared.labels == () and prepared.notes == ["1 of 1 training questions have no answer in their text."]


def test_the_options_reach_what_they_are_for() -> None:
    task = fit(TASK, QaOptions(n_best=3, max_answer_tokens=7), "bert")
    assert task.output.decode.keywords == {"n_best": 3, "longest": 7}  # type: ignore[attr-defined]
    assert task.output.head == "span" and not task.of_named_labels


@pytest.mark.parametrize(
    "line",
    ["Who? ||| Ada did.", '{"question": "Who?", "context": "Ada did."}', ' {"question": "Who?", "text": "Ada did."}'],
)
def test_a_line_is_a_question_and_a_text(line: str) -> None:
    assert read_text(line) == {"question": "Who?", "text": "Ada did."}


def test_an_empty_line_keeps_its_place() -> None:
    assert read_text("") == {"question": "", "text": ""}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Ada did.", "a question and the text"),
        ('{"question": 1', "not JSON"),
        ('{"context": "Ada."}', "needs a question"),
    ],
)
def test_other_lines_are_refused(line: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_text(line)


@pytest.mark.parametrize("given", [{"question": "Who?"}, {"question": "Who?", "context": ["a"]}])
def test_an_object_without_context_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="needs a context") as caught:
        read_fields(given, "asked.jsonl:3")
    assert caught.value.where == "asked.jsonl:3"


def test_the_answer_for_users() -> None:
    found = answer(record(1), prediction("London"))
    assert found["answer"] == TEXT[found["start"] : found["end"]] and "no_answer" not in found
    silent = answer(record(1), prediction("London", 2.0, threshold=0.0))
    assert silent["answer"] == "" and silent["start"] is None and silent["no_answer"] == 0.3
