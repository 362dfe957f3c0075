"""Correlations and errors of predicted numbers."""

import pytest

from rag_lightning.errors import UserError
from rag_lightning.metrics.agreement import agreement_scores


def test_by_hand():
    scores = agreement_scores([1, 2, 3, 4], [1, 3, 2, 8])
    # deviations (-1.5, -.5, .5, 1.5) and (-2.5, -.5, -1.5, 4.5): 10 / sqrt(5 * 29)
    assert scores["pearson"] == pytest.approx(10 / (5 * 29) ** 0.5)
    assert scores["spearman"] == pytest.approx(1 - 6 * 2 / (4 * 15))  # one swap of neighbours
    assert scores["mae"] == pytest.approx((0 + 1 + 1 + 4) / 4)


def test_ties_take_mean_ranks():
    # ranks 1, 2, 3 and 1.5, 1.5, 3: covariance 1.5, squares 2 and 1.5
    assert agreement_scores([0, 1, 2], [5, 5, 6])["spearman"] == pytest.approx(1.5 / (2 * 1.5) ** 0.5)


@pytest.mark.parametrize(("gold", "predicted"), [([1, 2, 3], [2, 2, 2]), ([2, 2, 2], [1, 2, 3]), ([1], [3])])
def test_no_correlation_where_nothing_varies(gold, predicted):
    scores = agreement_scores(gold, predicted)
    assert scores["pearson"] == scores["spearman"] == 0.0
    assert scores["mae"] == pytest.approx(sum(abs(g - p) for g, p in zip(gold, predicted, strict=True)) / len(gold))


def test_nearly_constant_predictions_do_not_warn():
    scores = agreement_scores([1.0, 2.0, 3.0], [1e9, 1e9 + 1e-6, 1e9 + 2e-6])
    assert -1 <= scores["pearson"] <= 1 and scores["mae"] == pytest.approx(1e9)


def test_no_number_is_an_error():
    with pytest.raises(UserError, match="1 of 2 predicted values are not finite"):
        agreement_scores([1, 2], [float("nan"), 1])
    with pytest.raises(ValueError):
        agreement_scores([1, 2], [1])
    with pytest.raises(ValueError):
        agreement_scores([], [])
    with pytest.raises(ValueError):
        agreement_scores([1, float("nan")], [1, 2])
