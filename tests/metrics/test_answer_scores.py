"""Exact match and F1 of answers, by hand and on the SQuAD file where it is there."""

import json
import os
from pathlib import Path

import pytest

from rag_lightning.metrics.answers import answer_scores, best_thresholds, exact_match, f1, normalized, silenced

SHARED = Path(os.environ.get("RAG_LIGHTNING_SHARED", Path(__file__).parents[3] / "shared"))
SQUAD = SHARED / "data" / "squad" / "dev-v1.1.json"


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ("The  Eiffel Tower.", "eiffel tower"),
        ("a theatre an' another", "theatre another"),  # articles only as whole words, after the punctuation
        ("U.S.", "us"),
        ("well-known", "wellknown"),
        ("“Ode”", "“ode”"),  # only ASCII punctuation goes
        ("The", ""),
    ],
)
def test_normalisation(answer, plain):
    assert normalized(answer) == plain


def test_exact_match_of_any_reference():
    assert exact_match("the Eiffel Tower!", ["Paris", "Eiffel tower"]) == 1.0
    assert exact_match("Eiffel Towers", ["Paris", "Eiffel tower"]) == 0.0


def test_f1_counts_words_with_their_number_and_takes_the_best_reference():
    # 2 of 3 words predicted are right, 2 of 4 are found: 2 * 2 / (3 + 4)
    assert f1("old red barn", ["red old oak door"]) == pytest.approx(4 / 7)
    assert f1("old red barn", ["nothing", "red old oak door", "old barn"]) == pytest.approx(4 / 5)
    assert f1("no no no", ["no no way"]) == pytest.approx(4 / 6)  # "no" is shared twice, not three times
    assert f1("barn", ["door"]) == 0.0


def test_no_answer():
    assert exact_match("", []) == f1("", []) == 1.0
    assert exact_match("barn", []) == f1("barn", []) == 0.0
    assert exact_match("", ["barn"]) == f1("", ["barn"]) == 0.0
    assert exact_match("", [".", "barn"]) == 0.0  # a reference that is nothing but punctuation is none
    assert exact_match("", ["."]) == f1("", ["the"]) == 1.0


def test_scores_of_both_parts():
    scores = answer_scores(["red barn", "", "x", "y"], [["barn"], [], [], ["y", "z"]])
    assert scores == pytest.approx({
        "exact_match": 2 / 4, "f1": (2 / 3 + 1 + 0 + 1) / 4, "total": 4,
        "HasAns/exact_match": 1 / 2, "HasAns/f1": (2 / 3 + 1) / 2, "HasAns/total": 2,
        "NoAns/exact_match": 1 / 2, "NoAns/f1": 1 / 2, "NoAns/total": 2,
    })  # fmt: skip
    assert list(answer_scores(["x"], [["x"]])) == ["exact_match", "f1", "total"]
    with pytest.raises(ValueError):
        answer_scores(["x", "y"], [["x"]])
    with pytest.raises(ValueError, match="no answers"):
        answer_scores([], [])


def test_best_threshold_by_hand():
    predictions = ["a1", "b1 more", "c1", "d1"]
    references = [["a1"], ["b1"], [], ["d2"]]
    no_answer = [-5.0, -1.0, 2.0, 3.0]
    # Answered up to a1: exact 1 + 0 + 1 + 0. Up to b1: f1 1 + 2/3 + 1 + 0. Answering c1 loses 1.
    found = best_thresholds(predictions, references, no_answer)
    assert found == pytest.approx({
        "best_exact_match": 2 / 4, "best_exact_match_threshold": -5.0,
        "best_f1": (2 + 2 / 3) / 4, "best_f1_threshold": -1.0,
    })  # fmt: skip
    kept = silenced(predictions, no_answer, found["best_f1_threshold"])
    assert kept == ["a1", "b1 more", "", ""]
    assert answer_scores(kept, references)["f1"] == pytest.approx(found["best_f1"])


def test_silence_may_be_best_at_any_scale():
    for scores in ([0.2, 0.9], [-7.0, -6.5], [0.0, 0.5]):
        found = best_thresholds(["x", "y"], [[], []], scores)
        assert found["best_f1"] == 1.0 and found["best_f1_threshold"] <= 0.0
        assert silenced(["x", "y"], scores, found["best_f1_threshold"]) == ["", ""]


def test_no_threshold_between_equal_scores():
    # Cutting between the two would give 1.0; any real threshold treats them alike.
    found = best_thresholds(["x", "y"], [["x"], []], [0.5, 0.5])
    assert found["best_f1"] == 0.5
    assert found["best_f1_threshold"] == 0.0  # the lowest of equally good ones
    with pytest.raises(ValueError, match="numbers"):
        best_thresholds(["x", "y"], [["x"], []], [0.5, float("nan")])


def test_the_best_threshold_is_the_best_of_all():
    predictions = [f"w{i} w{i + 1}" for i in range(30)]
    references = [[] if i % 3 == 0 else [f"w{i + i % 2}"] for i in range(30)]
    scores = [float((i * 7) % 11) - 5 for i in range(30)]
    found = best_thresholds(predictions, references, scores)
    for name in ("exact_match", "f1"):
        every = [answer_scores(silenced(predictions, scores, t), references)[name] for t in [-9.0, *scores]]
        assert found[f"best_{name}"] == pytest.approx(max(every))
        at = answer_scores(silenced(predictions, scores, found[f"best_{name}_threshold"]), references)[name]
        assert at == pytest.approx(max(every))


def test_chinese_by_character():
    assert exact_match("《红楼梦》。", ["红楼梦"], by_character=True) == 1.0
    assert exact_match("红楼梦", ["西游记", "红楼"], by_character=True) == 0.0
    # The longest run in common is 红楼, 2 of 3 and 2 of 4 characters; in a bag 梦 would count too.
    assert f1("红楼梦", ["梦见红楼"], by_character=True) == pytest.approx(2 * 2 / 7)
    assert f1("红楼梦", ["梦见红楼", "红楼梦"], by_character=True) == 1.0
    assert f1("水浒", ["红楼"], by_character=True) == 0.0
    assert exact_match("", [], by_character=True) == f1("", [], by_character=True) == 1.0
    assert f1("红", [], by_character=True) == f1("", ["红"], by_character=True) == 0.0


def test_mixed_segmentation():
    # 2008 | 年 | beijing | olympics: words between characters are one segment each
    assert f1("2008年", ["2008年Beijing Olympics"], by_character=True) == pytest.approx(2 * 2 / 6)
    assert f1("200年", ["2008年"], by_character=True) == pytest.approx(2 * 1 / 4)
    assert f1("the tower", ["tower"], by_character=True) == pytest.approx(2 / 3)  # articles stay
    assert f1("约3.5-4万", ["约3.54万"], by_character=True) == 1.0  # CMRC takes "-" away, not "."
    assert exact_match("3.5", ["35"], by_character=True) == 0.0


def test_kana_and_hangul_by_character():
    assert f1("さくら", ["さくらんぼ"], by_character=True) == pytest.approx(2 * 3 / 8)
    assert f1("タワー", ["東京タワー"], by_character=True) == pytest.approx(2 * 3 / 8)
    assert f1("서울", ["서울시"], by_character=True) == pytest.approx(2 * 2 / 5)


@pytest.mark.skipif(not SQUAD.exists(), reason="the SQuAD file is not there")
def test_gold_answers_of_squad_score_full_and_others_as_torchmetrics():
    from torchmetrics.functional.text import squad

    with SQUAD.open(encoding="utf-8") as file:
        articles = json.load(file)["data"]
    questions = [q for article in articles[:8] for p in article["paragraphs"] for q in p["qas"]]
    references = [[answer["text"] for answer in q["answers"]] for q in questions]
    first = [texts[0] for texts in references]
    assert answer_scores(first, references) == {"exact_match": 1.0, "f1": 1.0, "total": len(questions)}

    wrong = [f"{text} of the {first[i - 1]}" if i % 3 else text for i, text in enumerate(first)]
    mine = answer_scores(wrong, references)
    theirs = squad(
        [{"prediction_text": text, "id": str(i)} for i, text in enumerate(wrong)],
        [
            {"answers": {"text": texts, "answer_start": [0] * len(texts)}, "id": str(i)}
            for i, texts in enumerate(references)
        ],
    )
    assert 0.3 < mine["exact_match"] < 0.4
    assert 100 * mine["exact_match"] == pytest.approx(float(theirs["exact_match"]), abs=0.001)
    assert 100 * mine["f1"] == pytest.approx(float(theirs["f1"]), abs=0.001)
