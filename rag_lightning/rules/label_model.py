"""What rules are worth, learnt from how they agree and disagree: a label model over their votes.

EM for the error rates of observers without known answers (Dawid & Skene 1979), with abstention as in data programming
(Ratner et al. 2016, 2019). Rules are taken as independent given the class: two copies of one rule look like a rule
and its confirmation.

What an expert writes mostly is for one label and seldom speaks where another rule does. Plain EM judges such a rule by
the few votes that others happen to contradict and takes that verdict for all of them; on a dozen simple rules for
CoNLL-2003 this was far worse than a majority vote. Here a vote that no other rule comments on counts as what was
assumed beforehand.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ABSTAIN = -1
Floats = npt.NDArray[np.float64]
Votes = npt.NDArray[np.integer]
# The items (rows) on which a rule casts one certain vote. A rule for one label has a single such cell.
_Cells = list[tuple[int, int, npt.NDArray[np.intp]]]


@dataclass(frozen=True, eq=False)
class LabelModel:
    """What is known about the rules.

    Attributes:
        balance: (classes,), the share of each class; the posterior of an item on which all rules abstain.
        truth: (rules, classes, classes); ``truth[j, v, y]`` is the probability of class y where rule j votes v.
        counts: (rules, classes), how often each rule cast each vote.
    """

    balance: Floats
    truth: Floats
    counts: Floats

    @property
    def accuracies(self) -> Floats:
        """(rules,): the share of each rule's votes that are right; of one that never votes what was assumed of all."""
        spoke = self.counts.sum(axis=1, keepdims=True) > 0
        weights = np.where(spoke, self.counts, 1.0)
        right = np.diagonal(self.truth, axis1=1, axis2=2)
        return np.asarray((weights * right).sum(axis=1) / weights.sum(axis=1), dtype=np.float64)

    @property
    def class_accuracies(self) -> Floats:
        """(rules, classes): how often a rule that speaks on an item of a class is right; NaN where it never does."""
        joint = self.counts[:, :, None] * self.truth
        spoken = joint.sum(axis=1)
        right = np.diagonal(joint, axis1=1, axis2=2)
        return np.divide(right, spoken, out=np.full_like(spoken, np.nan), where=spoken > 0)

    def posteriors(self, votes: Votes) -> Floats:
        """(items, classes): the probability of each class given the votes.

        Args:
            votes: (items, rules), a class number or -1 where the rule abstains.
        """
        votes = _checked(votes, len(self.balance))
        if votes.shape[1] != len(self.truth):
            raise ValueError(f"votes of {votes.shape[1]} rules for a model of {len(self.truth)}")
        return _expectation(_cells(votes), len(votes), self.truth, self.balance)


def fit_label_model(
    votes: Votes,
    classes: int,
    *,
    balance: Floats | None = None,
    prior_accuracy: float = 0.8,
    prior_strength: float = 10.0,
    iterations: int = 200,
    tolerance: float = 1e-6,
) -> LabelModel:
    """Learn how far each rule can be trusted. Deterministic, and independent of the order of rules and items.

    A rule's trust is kept as P(class | its vote) and not as P(its vote | class, it speaks): a rule that only ever votes
    for one label, as most do, says nothing in the second form. Abstaining counts as no evidence (as in Ratner et al.),
    and a vote on an item where no other rule votes as ``prior_accuracy``: nothing speaks for it or against it.

    Args:
        votes: (items, rules), a class number or -1 where the rule abstains.
        classes: the number of classes; more than are voted for if need be, such as "outside every entity".
        balance: (classes,), the share of each class where known; else it is learnt from the items with votes.
        prior_accuracy: how often a rule is right as long as nothing is known of it.
        prior_strength: how many votes that assumption (and the one of even classes) is worth. With few rules, or few
            votes of a rule, it is what keeps the estimate sane.
        iterations: the most rounds of EM.
        tolerance: stop when no probability changes by more in a round.

    Raises:
        ValueError: votes that are no (items, rules) table of whole numbers between -1 and ``classes - 1``, or a
            ``balance`` that is none.
    """
    votes = _checked(votes, classes)
    votes = votes[(votes != ABSTAIN).any(axis=1)]
    patterns, repeats = np.unique(votes, axis=0, return_counts=True) if votes.size else (votes, np.zeros(0))
    weights = repeats.astype(np.float64)
    cells = _cells(patterns)
    commented = (patterns != ABSTAIN).sum(axis=1) > 1

    learn_balance = balance is None
    base = np.full(classes, 1.0 / classes) if balance is None else _distribution(balance, classes)
    prior = _prior_truth(base, prior_accuracy)
    truth = np.repeat(prior[None], votes.shape[1], axis=0)
    counts = np.zeros((votes.shape[1], classes))
    for rule, vote, items in cells:
        counts[rule, vote] = weights[items].sum()
    judged = [(rule, vote, items[commented[items]]) for rule, vote, items in cells]

    shares = base
    before = np.zeros((len(patterns), classes))
    for _ in range(iterations):
        posterior = _expectation(cells, len(patterns), truth, shares)
        if np.abs(posterior - before).max(initial=0.0) < tolerance:
            break
        before = posterior
        for rule, vote, items in judged:
            assumed = prior_strength + counts[rule, vote] - weights[items].sum()
            seen = weights[items] @ posterior[items] + assumed * prior[vote]
            truth[rule, vote] = seen / (counts[rule, vote] + prior_strength)
        if learn_balance:
            shares = (weights @ posterior + prior_strength * base) / (weights.sum() + prior_strength)
    return LabelModel(balance=shares, truth=truth, counts=counts)


def _expectation(cells: _Cells, n_items: int, truth: Floats, balance: Floats) -> Floats:
    """P(class | votes), by P(votes | class) = product of P(vote) P(class | vote) / P(class)."""
    log_balance = np.log(balance)
    scores = np.repeat(log_balance[None], n_items, axis=0)
    for rule, vote, items in cells:
        scores[items] += np.log(truth[rule, vote]) - log_balance
    scores -= scores.max(axis=1, keepdims=True, initial=-np.inf)
    likelihood = np.exp(scores)
    return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True), dtype=np.float64)


def _prior_truth(base: Floats, accuracy: float) -> Floats:
    """(vote, class): right with ``accuracy``; wrong votes fall on the other classes by their shares."""
    classes = len(base)
    if classes == 1:
        return np.ones((1, 1))
    others = np.where(np.eye(classes, dtype=bool), 0.0, base[None])
    others *= (1.0 - accuracy) / others.sum(axis=1, keepdims=True)
    return others + accuracy * np.eye(classes)


def _cells(votes: Votes) -> _Cells:
    return [
        (rule, int(vote), np.flatnonzero(votes[:, rule] == vote))
        for rule in range(votes.shape[1])
        for vote in np.unique(votes[:, rule])
        if vote != ABSTAIN
    ]


def _checked(votes: Votes, classes: int) -> Votes:
    votes = np.asarray(votes)
    if votes.ndim != 2 or not np.issubdtype(votes.dtype, np.integer):
        raise ValueError(f"votes are a table of whole numbers (items, rules), not {votes.dtype} {votes.shape}")
    if votes.size and (votes.min() < ABSTAIN or votes.max() >= classes):
        raise ValueError(f"votes lie between -1 and {classes - 1}; these between {votes.min()} and {votes.max()}")
    return votes


def _distribution(balance: Floats, classes: int) -> Floats:
    shares = np.asarray(balance, dtype=np.float64)
    if shares.shape != (classes,) or not (shares > 0).all():
        raise ValueError(f"a class balance holds {classes} shares above 0, not {balance}")
    return shares / shares.sum()
