"""The CRF against the sum over all labellings."""

import pytest
import torch
from sequences import all_scores, random_case

from rag_lightning.decoding.crf import LinearChainCRF, marginals


def crf_with(start: torch.Tensor, step: torch.Tensor) -> LinearChainCRF:
    crf = LinearChainCRF(len(start)).double()
    with torch.no_grad():
        crf.start.copy_(start)
        crf.step.copy_(step)
    return crf


@pytest.mark.parametrize("seed", range(6))
def test_likelihood_is_the_share_of_all_labellings(seed: int) -> None:
    emissions, mask, start, step = random_case(seed)
    labels = torch.randint(0, 3, mask.shape, generator=torch.Generator().manual_seed(seed))
    begins = torch.tensor([True, False, True, False])
    got = crf_with(start, step)(emissions, labels.masked_fill(~mask, -100), mask, begins)
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        scores = all_scores(emissions[row, :length], start if begins[row] else torch.zeros(3), step)
        expected = scores[tuple(labels[row, :length].tolist())] - torch.stack(list(scores.values())).logsumexp(0)
        torch.testing.assert_close(got[row], expected)


@pytest.mark.parametrize("seed", range(3))
def test_words_without_label_may_have_any(seed: int) -> None:
    emissions, mask, start, step = random_case(seed)
    labels = torch.randint(-1, 3, mask.shape, generator=torch.Generator().manual_seed(seed))
    got = crf_with(start, step)(emissions, labels, mask, torch.ones(4, dtype=torch.bool))
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        scores = all_scores(emissions[row, :length], start, step)
        known = labels[row, :length].tolist()
        fits = [s for path, s in scores.items() if all(k in (-1, label) for k, label in zip(known, path, strict=True))]
        expected = torch.stack(fits).logsumexp(0) - torch.stack(list(scores.values())).logsumexp(0)
        torch.testing.assert_close(got[row], expected)


@pytest.mark.parametrize("seed", range(6))
def test_marginals_are_sums_over_labellings(seed: int) -> None:
    emissions, mask, start, step = random_case(seed)
    got = marginals(emissions, mask, start, step)
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        scores = all_scores(emissions[row, :length], start, step)
        total = torch.stack(list(scores.values())).logsumexp(0)
        expected = torch.zeros(length, 3, dtype=torch.float64)
        for path, score in scores.items():
            for word, label in enumerate(path):
                expected[word, label] += (score - total).exp()
        torch.testing.assert_close(got[row, :length], expected)


def test_a_new_crf_is_a_softmax_of_each_word() -> None:
    emissions, mask, _, _ = random_case(0)
    labels = torch.zeros_like(mask, dtype=torch.int64)
    got = LinearChainCRF(3)(emissions, labels, mask, torch.ones(4, dtype=torch.bool))
    expected = (emissions.log_softmax(dim=-1)[:, :, 0] * mask).sum(dim=1)
    torch.testing.assert_close(got, expected)


def test_gradients() -> None:
    emissions, mask, start, step = random_case(1, rows=3, words=3)
    labels = torch.tensor([[0, 1, 2]] * 3)
    begins = torch.tensor([True, False, True])
    crf = crf_with(start, step)

    def likelihood(emissions: torch.Tensor, start: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        values = {"start": start, "step": step}
        return torch.func.functional_call(crf, values, (emissions, labels, mask, begins))  # type: ignore[no-any-return]

    arguments = tuple(tensor.clone().requires_grad_() for tensor in (emissions, start, step))
    assert torch.autograd.gradcheck(likelihood, arguments)


def test_padding_and_rows_without_words_take_no_part() -> None:
    emissions, mask, start, step = random_case(2)
    mask = mask.clone()
    mask[1] = False
    labels = torch.ones_like(mask, dtype=torch.int64)
    begins = torch.ones(4, dtype=torch.bool)
    emissions.requires_grad_()
    likelihood = crf_with(start, step)(emissions, labels, mask, begins)
    assert likelihood[1] == 0
    likelihood.sum().backward()
    assert emissions.grad is not None
    assert (emissions.grad[~mask] == 0).all()
    assert (emissions.grad[mask] != 0).all()


def test_learns_what_follows_what() -> None:
    """Labels that alternate, while the emissions say nothing."""
    torch.manual_seed(0)
    crf = LinearChainCRF(2)
    emissions, mask, begins = torch.zeros(8, 6, 2), torch.ones(8, 6, dtype=torch.bool), torch.ones(8, dtype=torch.bool)
    labels = torch.tensor([[0, 1, 0, 1, 0, 1]] * 8)
    optimizer = torch.optim.Adam(crf.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = -crf(emissions, labels, mask, begins).mean()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.2  # from 4.16, where each labelling is as likely as any other
