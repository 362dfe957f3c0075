"""Each method against what its formula says, on models of two parameters."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rag_lightning.retention.method import Step, Weighted
from rag_lightning.retention.methods.distill import away, divergence
from rag_lightning.retention.methods.ema import average
from rag_lightning.retention.methods.ewc import add_ewc_gradient, ewc_penalty
from rag_lightning.retention.methods.l2sp import add_l2sp_gradient, l2sp_penalty
from rag_lightning.retention.methods.lwf import Lwf, LwfOptions, read_only
from rag_lightning.retention.methods.mixout import mixed
from rag_lightning.retention.methods.r3f import shaken, symmetric_divergence
from rag_lightning.retention.methods.rehearsal import contrast_loss, next_words_loss
from rag_lightning.retention.methods.wise_ft import chosen, interpolate


@pytest.fixture
def two() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Weights (3, -1) that began at (1, 1), with gradients of 10."""
    weights = [torch.tensor([3.0], requires_grad=True), torch.tensor([-1.0], requires_grad=True)]
    for weight in weights:
        weight.grad = torch.tensor([10.0])
    return weights, [torch.tensor([1.0]), torch.tensor([1.0])]


def test_l2sp_is_half_alpha_times_the_squared_distance(two: Any) -> None:
    weights, start = two
    assert l2sp_penalty(weights, start, 0.5).item() == pytest.approx(0.25 * (4 + 4))
    add_l2sp_gradient(weights, start, 0.5)
    assert [w.grad.item() for w in weights] == pytest.approx([10 + 0.5 * 2, 10 - 0.5 * 2])


def test_ewc_weighs_each_distance_by_its_importance(two: Any) -> None:
    weights, start = two
    fisher = [torch.tensor([1.75]), torch.tensor([0.25])]
    assert ewc_penalty(weights, start, fisher, 2.0).item() == pytest.approx(1.75 * 4 + 0.25 * 4)
    add_ewc_gradient(weights, start, fisher, 2.0)
    assert [w.grad.item() for w in weights] == pytest.approx([10 + 2 * 1.75 * 2, 10 - 2 * 0.25 * 2])


@pytest.mark.parametrize("penalty", ["l2sp", "ewc"])
def test_the_gradient_that_is_added_is_that_of_the_penalty(penalty: str) -> None:
    torch.manual_seed(0)
    weights = [torch.randn(2, 3, requires_grad=True), torch.randn(4, requires_grad=True)]
    start, fisher = [torch.randn_like(w) for w in weights], [torch.rand_like(w) for w in weights]
    value = l2sp_penalty(weights, start, 0.3) if penalty == "l2sp" else ewc_penalty(weights, start, fisher, 0.3)
    expected = torch.autograd.grad(value, weights)
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    if penalty == "l2sp":
        add_l2sp_gradient(weights, start, 0.3)
    else:
        add_ewc_gradient(weights, start, fisher, 0.3)
    for weight, gradient in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def test_mixout_takes_the_start_where_it_drops_and_keeps_the_mean() -> None:
    weight, start = torch.tensor([3.0]), torch.tensor([1.0])
    dropped, kept = mixed(weight, start, torch.zeros(1), 0.75), mixed(weight, start, torch.ones(1), 0.75)
    assert (dropped.item(), kept.item()) == (1.0, 9.0)
    assert 0.75 * dropped.item() + 0.25 * kept.item() == pytest.approx(3.0)


def test_the_average_moves_by_its_share() -> None:
    averages = [torch.tensor([1.0]), torch.tensor([0.0])]
    average(averages, [torch.tensor([3.0]), torch.tensor([10.0])], 0.9)
    assert [a.item() for a in averages] == pytest.approx([1.2, 1.0])


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, (1.0, 1.0)), (0.25, (1.5, 0.5)), (1.0, (3.0, -1.0))])
def test_wise_ft_lies_on_the_line_between(alpha: float, expected: tuple[float, float]) -> None:
    weights = [torch.zeros(1), torch.zeros(1)]
    interpolate(weights, [torch.ones(1), torch.ones(1)], [torch.tensor([3.0]), torch.tensor([-1.0])], alpha)
    assert tuple(w.item() for w in weights) == expected


def test_wise_ft_takes_the_smallest_alpha_that_costs_little() -> None:
    scores = {0.5: 0.80, 0.7: 0.868, 0.9: 0.871, 1.0: 0.870}
    assert chosen(scores, 0.005, lower_is_better=False) == 0.7  # a share of the best score
    assert chosen(scores, 0.0, lower_is_better=False) == 0.9
    perplexities = {0.5: 12.0, 0.7: 10.2, 1.0: 10.0}
    assert chosen(perplexities, 0.03, lower_is_better=True) == 0.7  # a share of the score: 0.3


def test_a_distance_of_directions() -> None:
    one = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert away(one, one * 5).item() == pytest.approx(0.0, abs=1e-6)
    assert away(one, one.flip(1)).item() == pytest.approx(1.0)


def test_the_divergence_of_words_counts_all_others_as_one() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.125, 0.125]]))
    words, shares = torch.tensor([[0]]), torch.log(torch.tensor([[0.8]]))
    expected = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert divergence(logits, words, shares).item() == pytest.approx(expected, abs=1e-5)
    same = torch.log_softmax(logits, -1)
    assert divergence(logits, torch.tensor([[0, 1]]), same[:, :2]).item() == pytest.approx(0.0, abs=1e-6)


def test_two_answers_are_compared_both_ways_and_only_where_asked() -> None:
    one, other = torch.tensor([[[0.0, 0.0], [9.0, 1.0]]]), torch.tensor([[[math.log(3.0), 0.0], [0.0, 0.0]]])
    mask = torch.tensor([[True, False]])
    p, q = (0.5, 0.5), (0.75, 0.25)
    expected = sum((a - b) * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    assert symmetric_divergence(one, other, mask).item() == pytest.approx(expected, abs=1e-6)
    value = symmetric_divergence(torch.tensor([[2.0]]), torch.tensor([[5.0]]), torch.tensor([True]))
    assert value.item() == 9.0  # a score: its square


def test_the_embedding_is_shaken_within_the_block_only() -> None:
    embedding = nn.Embedding(4, 2)
    ids, noise = torch.tensor([[1, 2]]), torch.full((1, 2, 2), 0.5)
    before = embedding(ids)
    with shaken(embedding, noise):
        torch.testing.assert_close(embedding(ids), before + 0.5)
    torch.testing.assert_close(embedding(ids), before)


def test_next_words_leave_padding_out() -> None:
    logits = torch.zeros(1, 4, 8)
    logits[0, 0, 5] = 3.0
    batch = {"input_ids": torch.tensor([[1, 5, 0, 0]]), "attention_mask": torch.tensor([[1, 1, 0, 0]])}
    expected = F.cross_entropy(logits[0, :1], torch.tensor([5]))
    torch.testing.assert_close(next_words_loss(logits, batch), expected)


def test_the_contrast_is_small_for_equal_and_large_for_swapped_readings() -> None:
    vectors = torch.eye(2)
    assert contrast_loss(vectors, vectors).item() < 1e-6
    assert contrast_loss(vectors, vectors.flip(0)).item() == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize(("schedule", "weights"), [("constant", (2, 2, 2)), ("rise", (0, 1, 2)), ("fall", (2, 1, 0))])
def test_the_weight_follows_its_schedule(schedule: Any, weights: tuple[float, ...]) -> None:
    options = Weighted(weight=2.0, schedule=schedule)
    assert tuple(options.weight_at(progress) for progress in (0.0, 0.5, 1.0)) == weights


def test_a_step_knows_its_place() -> None:
    assert Step(3, 0.5).rank == 0 and Step(3, 0.5).world == 1


class _Reader(nn.Module):
    """Says the same two numbers of every token."""

    config = SimpleNamespace(is_encoder_decoder=False)

    def __init__(self) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return SimpleNamespace(last_hidden_state=self.direction.expand(*input_ids.shape, 2))


@pytest.mark.parametrize("of", ["texts", "tokens"])
def test_lwf_is_the_angle_to_what_the_original_says_of_the_tasks_inputs(of: str) -> None:
    reader, step = _Reader(), Step(0, 0.0)
    situation = SimpleNamespace(head="token_labels", architecture=reader.config)
    hooks = Lwf(LwfOptions(weight=3.0, of=of), SimpleNamespace(backbone=reader, situation=situation))  # type: ignore[arg-type]
    reader.direction.data = torch.tensor([1.0, 1.0])
    ids, mask = torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.long)
    hooks.before_forward(step)
    reader(input_ids=ids, attention_mask=mask)
    hooks.after_forward(step)
    with torch.no_grad():
        reader.direction.data = torch.tensor([0.0, 1.0])
    reader(input_ids=ids, attention_mask=mask)  # another method's pass, which is not listened to
    loss = hooks.loss(None, None, {}, step)
    assert loss is not None and loss.item() == pytest.approx(3 * (1 - math.cos(math.pi / 4)), rel=1e-5)
    assert hooks.loss(None, None, {}, step) is None  # each pass counts once


def test_lwf_leaves_alone_what_is_written() -> None:
    labels = torch.tensor([[-100, -100, -100, 7, 8], [-100, -100, -100, -100, -100]])
    assert read_only(labels).tolist() == [[True, True, False, False, False], [True] * 5]
