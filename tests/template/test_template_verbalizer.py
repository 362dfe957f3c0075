"""Words at the mask as scores of labels."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lightning.errors import UserError
from rag_lightning.template.verbalizer import Verbalizer, label_scores, make_verbalizer, words_of_labels
from rag_lightning.template.wording import LabelWords

VOCABULARY = {"great": [1], "fun": [2], "awful": [3], "new": [4], "york": [5, 6], "zzz": [0]}


def encode(texts: list[list[str]]) -> list[list[list[int]]]:
    return [[VOCABULARY[word] for word in words] for words in texts]


def verbalizer(**words: list[str]) -> Verbalizer:
    return make_verbalizer(words, encode, unknown=0)


def scores(made: Verbalizer, logits: np.ndarray) -> np.ndarray:
    return label_scores(logits, made.ids, made.weights, made.prior)


def log_softmax(values: np.ndarray) -> np.ndarray:
    return values - np.log(np.exp(values).sum(axis=-1, keepdims=True))


@given(st.lists(st.floats(-5, 5, width=32), min_size=8, max_size=8))
def test_a_label_scores_the_mean_of_its_words_and_a_word_the_mean_of_its_tokens(values: list[float]) -> None:
    logits = np.array([values], dtype=np.float32)
    log_p = log_softmax(logits)[0]
    found = scores(verbalizer(good=["great", "fun"], bad=["awful"], place=["new york"]), logits)[0]
    expected = [(log_p[1] + log_p[2]) / 2, log_p[3], (log_p[4] + log_p[5] + log_p[6]) / 3]
    np.testing.assert_allclose(log_softmax(found), log_softmax(np.array(expected)), atol=1e-4)


def test_calibration_makes_an_empty_input_undecided() -> None:
    made = verbalizer(good=["great"], bad=["awful"])
    logits = np.array([[0, 3.0, 0, 1, 0, 0, 0, 0]], dtype=np.float32)
    calibrated = made.calibrated(log_softmax(scores(made, logits)))
    np.testing.assert_allclose(np.exp(log_softmax(scores(calibrated, logits))), 0.5, atol=1e-6)
    leaning = logits + np.array([[0, 0, 0, 1.0, 0, 0, 0, 0]], dtype=np.float32)
    assert scores(made, leaning).argmax() == 0 and scores(calibrated, leaning).argmax() == 1


def test_the_prior_is_the_mean_probability() -> None:
    made = verbalizer(good=["great"], bad=["awful"])
    calibrated = made.calibrated(np.log(np.array([[0.9, 0.1], [0.5, 0.5]])))
    np.testing.assert_allclose(np.exp(calibrated.prior), [0.7, 0.3], atol=1e-6)


def test_it_is_saved_as_plain_data() -> None:
    made = verbalizer(good=["great", "fun"], bad=["awful"]).calibrated(np.log(np.array([[0.25, 0.75]])))
    again = Verbalizer.from_json(json.loads(json.dumps(made.to_json())))
    for name in ("ids", "weights", "prior"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
        assert getattr(again, name).dtype == getattr(made, name).dtype


def test_words_not_given_are_the_names() -> None:
    names = {"POS": LabelWords("great"), "NEG": LabelWords("awful")}
    assert words_of_labels(["POS", "NEG"], None, names) == {"POS": ("great",), "NEG": ("awful",)}
    assert words_of_labels(["POS", "NEG"], {"NEG": ["bad", "dull"]}, names)["NEG"] == ("bad", "dull")


@pytest.mark.parametrize(
    ("given_words", "message"),
    [
        ({"PSO": ["x"]}, r"template\.verbalizer\.PSO: there is no label 'PSO'.*Did you mean 'POS'"),
        ({"POS": []}, "at least one word"),
        ({"POS": [" "]}, "at least one word"),
        ({"POS": ["awful"]}, "'awful' stands for 'POS' and for 'NEG'"),
    ],
)
def test_wrong_words_are_refused(given_words: dict[str, Any], message: str) -> None:
    names = {"POS": LabelWords("great"), "NEG": LabelWords("awful")}
    with pytest.raises(UserError, match=message):
        words_of_labels(["POS", "NEG"], given_words, names)


def test_words_that_the_backbone_does_not_know_are_refused() -> None:
    with pytest.raises(UserError, match=r"verbalizer\.a: the backbone's vocabulary has no 'zzz'"):
        verbalizer(a=["zzz"], b=["great"])
    with pytest.raises(UserError, match="'a' and 'b' are the same tokens"):
        make_verbalizer({"a": ["x"], "b": ["y"]}, lambda texts: [[[7]] for _ in texts], unknown=0)
