"""Scores that say how sure a classifier is, thresholds, and what they are worth."""

import math
from dataclasses import replace

import numpy as np
import pytest
from tiny import sample_overrides

from rag_lightning.errors import UserError
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.refusal import (
    LOGITS,
    area_under,
    detection,
    highest_probability,
    log_sum,
    nearness,
    risk_coverage,
    threshold_at,
    with_logits,
)
from rag_lightning.inference.saved import load_run
from rag_lightning.train import train


def test_scores_of_logits_are_those_of_the_papers() -> None:
    logits = np.array([[math.log(3), 0.0], [5.0, 5.0]])
    assert highest_probability(logits) == pytest.approx([math.log(0.75 / 0.25), 0])
    assert log_sum(logits) == pytest.approx([math.log(4), 5 + math.log(2)])


def test_scores_neither_overflow_nor_round_to_equals() -> None:
    logits = np.array([[1000.0, 950.0], [1000.0, 960.0]])
    first, second = highest_probability(logits)
    assert first == pytest.approx(50) and second == pytest.approx(40)
    assert log_sum(logits) == pytest.approx([1000, 1000])


def test_nearness_is_the_cosine_to_the_kth_neighbour() -> None:
    known = np.array([[1.0, 0.0], [0.0, 1.0]])
    vectors = np.array([[0.6, 0.8]])
    assert nearness(vectors, known) == pytest.approx([0.8])
    assert nearness(vectors, known, k=2) == pytest.approx([0.6])


@pytest.mark.parametrize(("share", "most"), [(0.0, 0), (0.05, 5), (0.059, 5), (0.5, 50)])
def test_a_threshold_refuses_as_many_as_it_may_and_no_more(share: float, most: int) -> None:
    scores = np.random.default_rng(0).permutation(100).astype(float)
    assert int((scores < threshold_at(scores, share)).sum()) == most


def test_a_threshold_among_equal_scores_refuses_none_of_them() -> None:
    assert threshold_at(np.ones(10), 0.3) == 1.0


@pytest.mark.parametrize(("scores", "share"), [(np.ones(3), 1.0), (np.ones(3), -0.1), (np.ones(0), 0.05)])
def test_a_threshold_that_cannot_be_chosen_is_refused(scores: np.ndarray, share: float) -> None:
    with pytest.raises(UserError):
        threshold_at(scores, share)


def test_detection_by_hand() -> None:
    inside, outside = np.arange(100.0), np.array([4.0, 5.0, -1.0, 200.0])
    found = detection(inside, outside)
    assert found["fpr95"] == 0.5  # 5 and 200 are not below the threshold, which is 5
    above = 95.5 + 94.5 + 100 + 0
    assert found["auroc"] == pytest.approx(above / 400)


def test_risk_and_coverage_by_hand() -> None:
    coverage, risk = risk_coverage(np.array([0.9, 0.1, 0.5, 0.5]), [True, False, True, False])
    assert coverage == pytest.approx([0.25, 0.75, 1]) and risk == pytest.approx([0, 1 / 3, 0.5])
    assert area_under(coverage, risk) == pytest.approx(0.5 / 3 + 0.25 * 0.5)


def test_logits_beside_the_answers_give_their_probabilities(tiny_model, tmp_path, no_pictures) -> None:
    overrides = sample_overrides("classification", tiny_model, tmp_path, "data=banking_sample", "trainer.max_steps=2")
    folder = train(overrides).folder
    loaded = load_run(str(folder))
    predictor = Predictor(replace(loaded, task=replace(loaded.task, output=with_logits(loaded.task.output))))
    texts = ["Where is my card?", "I moved house and have a new address.", "PIN"]
    answers = predictor.predict([{"text": text} for text in texts])
    plain = Predictor(load_run(str(folder))).predict([{"text": text} for text in texts])
    for answer, other in zip(answers, plain, strict=True):
        logits = np.asarray(answer.pop(LOGITS))
        assert answer == other and len(logits) == 12
        odds = math.exp(highest_probability(logits[None])[0])
        assert odds / (1 + odds) == pytest.approx(other["confidence"], abs=1e-4)
