"""Batches: within the budget, every row once, as many in every epoch, equal for any number of devices."""

import numpy as np
import pytest

from rag_lightning.encoding.batches import BatchPlan
from rag_lightning.encoding.budget import by_budget

LENGTHS = np.random.default_rng(0).integers(3, 60, size=500)


def plan(**changes: object) -> BatchPlan:
    settings = {"budget": 400, "shuffle": True, "by_length": True, "seed": 1, **changes}
    return BatchPlan(LENGTHS, **settings)  # type: ignore[arg-type]


def test_training_batches_keep_within_the_budget_and_hold_every_row_once() -> None:
    batches = list(plan())
    assert sorted(row for batch in batches for row in batch) == list(range(len(LENGTHS)))
    assert all(LENGTHS[batch].max() * len(batch) <= 400 for batch in batches)


def test_batches_of_similar_length_have_little_padding() -> None:
    padded = sum(LENGTHS[batch].max() * len(batch) for batch in plan())
    assert LENGTHS.sum() / padded > 0.93


@pytest.mark.parametrize("by_length", [True, False])
def test_epochs_have_as_many_batches_and_other_ones(by_length: bool) -> None:
    sampler = plan(by_length=by_length)
    seen = []
    for epoch in range(5):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        seen.append(tuple(sorted(tuple(sorted(batch)) for batch in batches)))
    assert len(set(seen)) == 5


def test_the_same_seed_and_epoch_give_the_same_batches() -> None:
    assert list(plan()) == list(plan())
    assert list(plan()) != list(plan(seed=2))


def test_a_row_longer_than_the_budget_stands_alone() -> None:
    batches = by_budget(np.array([5, 900, 5]), np.arange(3), 20)
    assert [list(batch) for batch in batches] == [[0], [1], [2]]


def test_evaluation_gives_each_device_other_rows_and_all_of_them_once() -> None:
    shares = [list(plan(shuffle=False, rank=rank, world_size=3)) for rank in range(3)]
    assert sorted(row for share in shares for batch in share for row in batch) == list(range(len(LENGTHS)))
    assert [len(share) for share in shares] == [len(plan(shuffle=False, rank=rank, world_size=3)) for rank in range(3)]


def test_it_goes_on_at_any_batch() -> None:
    whole, rest = list(plan()), plan()
    rest.start = 7
    assert list(rest) == whole[7:]
    assert list(rest) == whole, "the start is for one epoch only"
