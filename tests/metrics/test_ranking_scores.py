"""Scores of rankings, by hand, against scikit-learn and torchmetrics, and against every order of tied items."""

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, ndcg_score
from torchmetrics.functional.retrieval import retrieval_normalized_dcg, retrieval_recall, retrieval_reciprocal_rank

from rag_lightning.metrics.ranking import average_precision, ndcg_at, ranking_scores, recall_at, reciprocal_rank


def test_by_hand():
    relevance, scores = [0, 1, 0, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.1]  # relevant at 2, 4, 5
    assert average_precision(relevance, scores) == pytest.approx((1 / 2 + 2 / 4 + 3 / 5) / 3)
    assert reciprocal_rank(relevance, scores) == pytest.approx(1 / 2)
    assert recall_at(1, relevance, scores) == 0.0
    assert recall_at(4, relevance, scores) == pytest.approx(2 / 3)
    assert recall_at(99, relevance, scores) == 1.0
    ideal = 1 + 1 / np.log2(3)
    assert ndcg_at(2, relevance, scores) == pytest.approx((1 / np.log2(3)) / ideal)


def test_grades():
    relevance, scores = [1, 3, 0], [0.9, 0.5, 0.1]
    assert ndcg_at(3, relevance, scores) == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))
    best = 7 + 1 / np.log2(3)  # 2^3 - 1 and 2^1 - 1
    assert ndcg_at(3, relevance, scores, exponential=True) == pytest.approx((1 + 7 / np.log2(3)) / best)
    assert average_precision(relevance, scores) == 1.0  # any grade above 0 is relevant


def test_as_scikit_learn_and_torchmetrics():
    random = np.random.default_rng(0)
    for _ in range(20):
        grades = random.integers(0, 4, size=15)
        grades[0] = 1
        scores = (random.permutation(15) + 1) / 16.0  # above 0: torchmetrics takes an item below for not retrieved
        binary = (grades > 0).astype(int)
        assert average_precision(grades, scores) == pytest.approx(average_precision_score(binary, scores))
        tensors = torch.tensor(scores), torch.tensor(binary)
        assert reciprocal_rank(grades, scores) == pytest.approx(float(retrieval_reciprocal_rank(*tensors)))
        for k in (1, 4, 15):
            assert ndcg_at(k, grades, scores) == pytest.approx(ndcg_score([grades], [scores], k=k))
            theirs = retrieval_normalized_dcg(torch.tensor(scores), torch.tensor(grades), top_k=k)
            assert ndcg_at(k, grades, scores) == pytest.approx(float(theirs), abs=1e-6)
            assert recall_at(k, grades, scores) == pytest.approx(float(retrieval_recall(*tensors, top_k=k)))


@pytest.mark.parametrize(
    ("grades", "scores"),
    [
        ([1, 0, 0, 1, 0], [0.5] * 5),
        ([0, 2, 0, 1, 0, 1], [3, 2, 2, 2, 1, 1]),
        ([1, 1, 0, 0, 2], [1, 1, 0, 0, 0]),
        ([0, 0, 1], [2, 2, 1]),
    ],
)
def test_ties_give_the_mean_over_all_orders(grades, scores):
    orders = [order for order in permutations(range(len(grades))) if _sorted([scores[i] for i in order])]
    falling = list(range(len(grades), 0, -1))

    def mean(score):
        return np.mean([score([grades[i] for i in order], falling) for order in orders])

    assert average_precision(grades, scores) == pytest.approx(mean(average_precision))
    assert reciprocal_rank(grades, scores) == pytest.approx(mean(reciprocal_rank))
    for k in (1, 2, 4):
        assert recall_at(k, grades, scores) == pytest.approx(mean(lambda g, s, k=k: recall_at(k, g, s)))
        for exponential in (False, True):
            expected = mean(lambda g, s, k=k, e=exponential: ndcg_at(k, g, s, e))
            assert ndcg_at(k, grades, scores, exponential) == pytest.approx(expected)
        assert ndcg_at(k, grades, scores) == pytest.approx(ndcg_score([grades], [scores], k=k))  # the same convention


def _sorted(values):
    return all(a >= b for a, b in zip(values, values[1:], strict=False))


def test_equal_scores_are_a_guess_wherever_the_right_answer_stands():
    for place in range(10):
        relevance = [float(i == place) for i in range(10)]
        assert recall_at(1, relevance, [0.0] * 10) == pytest.approx(0.1)
        assert recall_at(1, relevance, [float("nan")] * 10) == pytest.approx(0.1)
    assert reciprocal_rank([0, 1], [float("nan"), -5.0]) == 1.0  # NaN is the lowest


def test_queries_without_a_relevant_item_are_left_out():
    scores = ranking_scores([[0, 1], [0, 0], [1, 0]], [[2, 1], [2, 1], [2, 1]], cutoffs=(1,))
    assert scores == pytest.approx({"map": 0.75, "mrr": 0.75, "ndcg@1": 0.5, "recall@1": 0.5, "queries": 2})
    assert ranking_scores([[0, 0]], [[2, 1]], cutoffs=(3,)) == {
        "map": 0, "mrr": 0, "ndcg@3": 0, "recall@3": 0, "queries": 0
    }  # fmt: skip
    assert average_precision([], []) == 0.0


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        average_precision([1, -1], [1, 2])
    with pytest.raises(ValueError, match="one score an item"):
        reciprocal_rank([1], [1, 2])
    with pytest.raises(ValueError, match="start at 1"):
        ranking_scores([[1]], [[1]], cutoffs=(0,))
    with pytest.raises(ValueError):
        ranking_scores([[1]], [])
