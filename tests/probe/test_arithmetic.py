"""Closed forms: alignment, distances, shares, masking one by one."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rag_lightning.probe.drift import linear_cka, mean_cosine
from rag_lightning.probe.examples import limited
from rag_lightning.probe.language import one_by_one
from rag_lightning.report.knowledge import Kept, Knowledge, compare, kept_share


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_alignment_of_single_features_is_their_squared_correlation() -> None:
    left, right = random(50, 1), random(50, 1, seed=1)
    correlation = torch.corrcoef(torch.cat([left, right], dim=1).T)[0, 1]
    assert linear_cka(left, right) == pytest.approx(float(correlation**2), rel=1e-5)


def test_alignment_sees_neither_rotation_nor_scale_nor_shift() -> None:
    states = random(60, 8)
    rotation = torch.linalg.qr(random(8, 8, seed=1))[0]
    assert linear_cka(states, states @ rotation * 3 + 7) == pytest.approx(1, abs=1e-6)
    assert linear_cka(states, random(60, 8, seed=2)) < 0.5


def test_the_cosine_sees_a_rotation() -> None:
    states = random(60, 8)
    assert mean_cosine(states, 2 * states) == pytest.approx(1)
    assert mean_cosine(states, -states) == pytest.approx(-1)
    assert mean_cosine(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(
    ("before", "after", "higher", "kept"),
    [
        (0.8, 0.6, True, 0.75),
        (0.8, 0.9, True, 1.125),
        (10.0, 12.5, False, 0.8),
        (0.8, -0.2, True, 0.0),  # a correlation that has turned round
        (0.8, math.nan, True, 0.0),  # a network that has collapsed
        (-0.1, 0.5, True, math.nan),  # nothing was there to be kept
        (0.0, 0.3, False, math.nan),
        (math.nan, 0.3, True, math.nan),
    ],
)
def test_the_share_that_was_kept(before: float, after: float, higher: bool, kept: float) -> None:
    assert kept_share(before, after, higher) == pytest.approx(kept, nan_ok=True)


def test_the_headline_is_the_smallest_share_of_knowledge() -> None:
    before = {"drift": {"cka": 1.0}, "similarity": {"spearman": 0.8}, "language": {"perplexity": 10.0}}
    after = {"drift": {"cka": 0.1}, "similarity": {"spearman": 0.76}, "language": {"perplexity": 20.0}}
    found = compare(before, after, lambda probe, _: probe != "language", lambda probe, _: probe != "drift")
    assert found.headline == 0.5
    assert found.metrics()["similarity/spearman/kept"] == pytest.approx(0.95)
    assert found.metrics()["drift/cka/kept"] == 0.1


def test_the_table_leaves_out_single_layers_and_the_metrics_do_not() -> None:
    rows = [Kept("drift", name, 1.0, 0.5, 0.5, False) for name in ("cka", "layer/0/cka", "layer/1/cka")]
    found = Knowledge(tuple(rows))
    assert [row[1] for row in found.table().rows] == ["cka"]
    assert found.layers("cka") == {0: 0.5, 1: 0.5}
    assert "drift/layer/1/cka/after" in found.metrics()
    assert math.isnan(found.headline) and "kept" not in found.metrics()


def test_each_chosen_token_is_masked_by_itself_and_special_ones_never() -> None:
    inputs = [[1, 7, 8, 2], [1, 9, 2]]
    masked, answers = one_by_one(inputs, mask=5, special={1, 2}, share=1.0, seed=0)
    assert masked == [[1, 5, 8, 2], [1, 7, 5, 2], [1, 5, 2]]
    assert answers == [7, 8, 9]
    assert len(one_by_one(inputs, 5, {1, 2}, 0.5, 0)[0]) == 2


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_fewer_examples_are_among_the_more(few: int, more: int, seed: int) -> None:
    few, more = sorted((few, more))
    all_of_them = list(range(30))
    assert set(limited(all_of_them, few, seed)) <= set(limited(all_of_them, more, seed))
    assert limited(all_of_them, None, seed) == all_of_them
