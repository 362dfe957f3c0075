"""The label model on votes whose truth is known."""

import numpy as np
import pytest

from rag_lightning.rules.label_model import ABSTAIN, fit_label_model


def synthetic(
    accuracies: list[float],
    coverage: float = 0.6,
    balance: tuple[float, ...] = (0.5, 0.5),
    items: int = 6000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Votes (items, rules) of rules that are right with the given accuracies, and the truth."""
    rng = np.random.default_rng(seed)
    classes = len(balance)
    truth = rng.choice(classes, size=items, p=balance)
    columns = []
    for accuracy in accuracies:
        wrong = (truth + rng.integers(1, classes, size=items)) % classes
        vote = np.where(rng.random(items) < accuracy, truth, wrong)
        columns.append(np.where(rng.random(items) < coverage, vote, ABSTAIN))
    return np.stack(columns, axis=1), truth


def majority(votes: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The class with most votes, and whether no other has as many."""
    counts = np.stack([(votes == label).sum(axis=1) for label in range(classes)], axis=1)
    ordered = np.sort(counts, axis=1)
    return counts.argmax(axis=1), ordered[:, -1] > ordered[:, -2]


@pytest.mark.parametrize("balance", [(0.5, 0.5), (0.7, 0.3), (0.5, 0.3, 0.2)])
def test_finds_accuracies_and_balance(balance: tuple[float, ...]) -> None:
    accuracies = [0.95, 0.85, 0.8, 0.7, 0.6]
    votes, _ = synthetic(accuracies, balance=balance)
    model = fit_label_model(votes, len(balance))
    assert np.abs(model.accuracies - accuracies).max() < 0.04
    assert np.abs(model.balance - balance).max() < 0.04
    assert np.abs(model.class_accuracies - np.array(accuracies)[:, None]).max() < 0.08


def test_accuracies_may_differ_by_class() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, size=8000)
    right = np.array([[0.95, 0.6], [0.6, 0.95], [0.85, 0.85], [0.8, 0.8]])  # (rules, classes)
    votes = np.stack([np.where(rng.random(8000) < rule[truth], truth, 1 - truth) for rule in right], axis=1)
    model = fit_label_model(votes, 2)
    assert np.abs(model.class_accuracies - right).max() < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_beats_majority_where_accuracies_differ(seed: int) -> None:
    votes, truth = synthetic([0.95, 0.6, 0.6, 0.55, 0.55], coverage=0.9, seed=seed)
    posterior = fit_label_model(votes, 2).posteriors(votes)
    by_majority, clear = majority(votes, 2)
    gain = (posterior.argmax(axis=1) == truth)[clear].mean() - (by_majority == truth)[clear].mean()
    assert gain > 0.1


@pytest.mark.parametrize("classes", [2, 4])
def test_equals_majority_where_accuracies_are_equal(classes: int) -> None:
    votes, _ = synthetic([0.8] * 5, coverage=1.0, balance=(1 / classes,) * classes)
    best = fit_label_model(votes, classes).posteriors(votes).argmax(axis=1)
    by_majority, clear = majority(votes, classes)
    assert (best == by_majority)[clear].mean() > 0.995


def test_posteriors_are_calibrated() -> None:
    votes, truth = synthetic([0.9, 0.8, 0.7, 0.65], items=20000)
    posterior = fit_label_model(votes, 2).posteriors(votes)
    sure = posterior[:, 1]
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        bin_ = (sure > low - 0.1) & (sure <= low + 0.1)
        assert abs(truth[bin_].mean() - sure[bin_].mean()) < 0.05


def test_order_of_rules_and_items_does_not_matter() -> None:
    votes, _ = synthetic([0.9, 0.8, 0.7, 0.6], items=800, balance=(0.4, 0.35, 0.25))
    rng = np.random.default_rng(5)
    rows, columns = rng.permutation(len(votes)), rng.permutation(4)
    model, mixed = fit_label_model(votes, 3), fit_label_model(votes[rows][:, columns], 3)
    np.testing.assert_allclose(mixed.posteriors(votes[rows][:, columns]), model.posteriors(votes)[rows], atol=1e-9)
    np.testing.assert_allclose(mixed.accuracies, model.accuracies[columns], atol=1e-9)


def test_items_without_votes_get_the_balance_and_change_nothing() -> None:
    votes, _ = synthetic([0.9, 0.7, 0.6], coverage=0.4, balance=(0.6, 0.4), items=1000)
    spoken = votes[(votes != ABSTAIN).any(axis=1)]
    silent = np.full((50, 3), ABSTAIN)
    model = fit_label_model(np.concatenate([silent, spoken]), 2)
    np.testing.assert_allclose(model.posteriors(silent), np.tile(model.balance, (50, 1)))
    np.testing.assert_allclose(model.truth, fit_label_model(spoken, 2).truth, atol=1e-12)


def test_one_rule_alone_is_believed_as_far_as_assumed() -> None:
    """Nothing can be learnt of a rule that no other confirms or contradicts, however often it votes."""
    votes = np.full((5000, 2), ABSTAIN)
    votes[:4000, 0], votes[4000:, 1] = 1, 2
    model = fit_label_model(votes, 3, prior_accuracy=0.75)
    np.testing.assert_allclose(model.accuracies, 0.75, atol=1e-6)
    np.testing.assert_allclose(model.posteriors(votes)[[0, -1], [1, 2]], 0.75, atol=1e-6)


def test_a_few_contradictions_do_not_discredit_a_rule() -> None:
    """Of 1000 votes 50 are contradicted by two rules that agree: nothing is known of the other 950."""
    votes = np.full((2000, 3), ABSTAIN)
    votes[:1000, 0] = 0
    votes[950:, 1:] = 1
    model = fit_label_model(votes, 2)
    assert 0.7 < model.accuracies[0] < 0.8
    posterior = model.posteriors(votes)
    assert posterior[0].argmax() == 0
    assert posterior[960].argmax() == 1


def test_a_rule_for_one_label_that_others_contradict_loses_trust() -> None:
    """The common kind of rule, for one label only: its errors must show although it never votes otherwise."""
    rng = np.random.default_rng(2)
    truth = rng.integers(1, 3, size=4000)
    rows = [np.where((truth == 1) & (rng.random(4000) < 0.7), 1, ABSTAIN) for _ in range(2)]
    rows += [np.where((truth == 2) & (rng.random(4000) < 0.7), 2, ABSTAIN) for _ in range(2)]
    careless = np.where(rng.random(4000) < 0.5, 1, ABSTAIN)  # votes for 1 on anything
    votes = np.stack([*rows, careless], axis=1)
    model = fit_label_model(votes, 3)
    assert model.accuracies[:4].min() > 0.85
    assert model.accuracies[4] < 0.6
    spoken = (votes[:, :4] != ABSTAIN).any(axis=1)
    assert (model.posteriors(votes).argmax(axis=1) == truth)[spoken].mean() > 0.99


def test_a_known_balance_is_kept() -> None:
    votes, _ = synthetic([0.9, 0.8, 0.7], balance=(0.5, 0.5), items=2000)
    model = fit_label_model(votes, 2, balance=np.array([9.0, 1.0]))
    np.testing.assert_allclose(model.balance, [0.9, 0.1])


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (0, 0), (4, 2)])
def test_without_any_vote_there_is_the_prior(shape: tuple[int, int]) -> None:
    votes = np.full(shape, ABSTAIN)
    model = fit_label_model(votes, 4)
    np.testing.assert_allclose(model.posteriors(votes), np.full((shape[0], 4), 0.25))
    np.testing.assert_allclose(model.accuracies, np.full(shape[1], 0.8))
    assert np.isnan(model.class_accuracies).all()


def test_one_class() -> None:
    votes = np.array([[0, ABSTAIN], [0, 0]])
    assert (fit_label_model(votes, 1).posteriors(votes) == 1.0).all()


def test_votes_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="between -1 and 1"):
        fit_label_model(np.array([[2]]), 2)
    with pytest.raises(ValueError, match="whole numbers"):
        fit_label_model(np.array([[0.5]]), 2)
    with pytest.raises(ValueError, match="2 rules for a model of 1"):
        fit_label_model(np.array([[1]]), 2).posteriors(np.array([[1, 0]]))
    with pytest.raises(ValueError, match="2 shares above 0"):
        fit_label_model(np.array([[1]]), 2, balance=np.array([1.0, 0.0]))
