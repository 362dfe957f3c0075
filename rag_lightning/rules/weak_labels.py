"""From what the rules found to labels: weak supervision (Ratner et al. 2016; Lison et al. 2020 for entities).

A record carries ``hits``. Those with a label are votes, one for each rule that says so; a veto takes the votes for its
label away, whatever their priority, and says nothing about the other labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError, nearest
from rag_lightning.rules.hits import Hit, hit_from_json
from rag_lightning.rules.label_model import ABSTAIN, fit_label_model
from rag_lightning.rules.resolve import aggregate_label, aggregate_spans, touch
from rag_lightning.rules.ruleset import RuleSet
from rag_lightning.tasks.spans import OUTSIDE

Aggregation = Literal["priority", "majority", "label_model"]
_Ballot = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class WeakLabel:
    """What the rules say of one record.

    Attributes:
        labels: for tokens their tags (IOB2); for a text its label, or None where no vote is left.
        confidence: between 0 and 1, of each token or of the text: the share of the votes there that say the same, or
            the label model's probability.
        spoke: whether a rule voted at all, also where a veto then took the vote away.
    """

    labels: list[str] | str | None
    confidence: list[float] | float
    spoke: bool


@dataclass(frozen=True, slots=True)
class _Spoken:
    """The hits of a record, sorted out.

    Attributes:
        size: tokens, or 1 for a text, which is then one unit with one label.
        cast: whether there was a vote.
        votes: those that no veto took away, the weightiest first; their places counted in units.
        vetoes: their places counted in units.
    """

    size: int
    cast: bool
    votes: list[Hit]
    vetoes: list[Hit]


def weak_labels(
    records: Sequence[Record],
    labels: Sequence[str],
    aggregation: Aggregation = "priority",
    *,
    silent_confidence: float = 1.0,
) -> list[WeakLabel]:
    """Labels for records by their ``hits`` alone.

    Args:
        records: with ``hits``; all with ``tokens`` or all with ``text``.
        labels: what rules may vote for: entity types (PER, not B-PER), or the labels of texts.
        aggregation: among votes that contradict each other

            - ``priority``: the highest priority; for tokens then the longest stretch, then the leftmost, so chosen that
              stretches do not overlap; for a text what most hits of that priority say (none if it is a tie);
            - ``majority``: for each token what most rules vote for, ties as under ``priority``; for a text what most
              hits say (none if it is a tie);
            - ``label_model``: for each token or text the most probable label, each rule trusted as far as its agreement
              with the others over all the records suggests.
        silent_confidence: of the O of tokens that no rule votes on.

    Returns:
        one answer per record, in their order.

    Raises:
        UserError: rules vote for a label that is not in ``labels``, or ``aggregation`` is none of the three.
    """
    if aggregation not in get_args(Aggregation):
        close = nearest(str(aggregation), list(get_args(Aggregation)))
        raise UserError(
            f"votes are not aggregated by {aggregation!r}" + (f" (did you mean {close[0]}?)" if close else ""),
            where="guidance",
            remedy=f"Choose one of {', '.join(get_args(Aggregation))}.",
        )
    spoken = [_sort_out(record) for record in records]
    _refuse_unknown(spoken, labels)
    of_tokens = bool(records) and "tokens" in records[0]
    if aggregation == "label_model":
        return _by_label_model(spoken, of_tokens, labels, silent_confidence)
    if of_tokens:
        return [_tokens_weakly(one, aggregation, silent_confidence) for one in spoken]
    return [_text_weakly(one, aggregation) for one in spoken]


def training_records(
    records: Sequence[Record], weak: Sequence[WeakLabel], *, keep_silent: float = 0.1, seed: int = 0
) -> list[Record]:
    """The records as training examples with ``tags`` or ``label`` by the rules, and their ``confidence``.

    Texts without a label are left out. So are most sentences on which no rule spoke: that they have no entities is
    worth knowing, but they are the many and would drown the others.

    Args:
        records: what :func:`weak_labels` was given.
        weak: what it gave.
        keep_silent: the share of sentences without any vote that stays.
        seed: of the draw among those.
    """
    draws = np.random.default_rng(seed).random(len(records))
    chosen = []
    for record, label, draw in zip(records, weak, draws, strict=True):
        if "tokens" not in record:
            if label.labels is not None:
                chosen.append({**record, "label": label.labels, "confidence": label.confidence})
        elif label.spoke or draw < keep_silent:
            chosen.append({**record, "tags": label.labels, "confidence": label.confidence})
    return chosen


def vote_matrix(records: Sequence[Record], labels: Sequence[str]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """The votes that no veto took away, as :func:`~rag_lightning.rules.label_model.fit_label_model` takes them.

    Returns:
        (items, rules): the place of the label in ``labels``, or -1 where the rule abstains; an item is a token, or a
        whole text. And the rules' names, sorted.

    Raises:
        UserError: rules vote for a label that is not in ``labels``.
    """
    spoken = [_sort_out(record) for record in records]
    _refuse_unknown(spoken, labels)
    return _vote_matrix(spoken, {label: i for i, label in enumerate(labels)})


def _sort_out(record: Record) -> _Spoken:
    hits = [hit for hit in map(hit_from_json, record["hits"]) if hit.start < hit.end]  # a match of nothing is none
    size = len(record["tokens"]) if "tokens" in record else 1
    votes = sorted((hit for hit in hits if hit.label is not None and not hit.veto), key=_rank)
    vetoes = [hit for hit in hits if hit.veto]
    if "tokens" not in record:
        # The votes are ranked by the length of what they found; from here on each is about the text as a whole.
        votes, vetoes = [[_on_text(hit) for hit in group] for group in (votes, vetoes)]
    left = [vote for vote in votes if not any(veto.label == vote.label and touch(veto, vote) for veto in vetoes)]
    return _Spoken(size, bool(votes), left, vetoes)


def _rank(hit: Hit) -> tuple[int, int, int, str]:
    return -hit.priority, hit.start - hit.end, hit.start, hit.rule


def _on_text(hit: Hit) -> Hit:
    return Hit(0, 1, hit.label, hit.rule, hit.priority, hit.veto)


def _refuse_unknown(spoken: Sequence[_Spoken], labels: Sequence[str]) -> None:
    voted = {str(vote.label): vote.rule for one in spoken for vote in one.votes}
    for label in sorted(set(voted) - set(labels)):
        close = nearest(label, list(labels))
        raise UserError(
            f"the rule {voted[label]!r} votes for {label!r}, which is no label of the data",
            where="rules",
            remedy=f"Did you mean {close[0]!r}?" if close else f"The labels are {', '.join(labels)}.",
        )


# --- priority and majority ------------------------------------------------------------------------------------


def _by_priority(spoken: _Spoken) -> list[str]:
    tags = [OUTSIDE] * spoken.size
    for start, end, label in aggregate_spans(spoken.votes, RuleSet(conflict="priority")):
        tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return tags


def _by_majority(spoken: _Spoken) -> list[str]:
    return _tags([_winner(ballot) for ballot in _ballots(spoken)], spoken.votes)


def _winner(ballot: _Ballot) -> str | None:
    """The label that most rules vote for; of equals the one with the weightiest vote, which comes first."""
    return max(ballot, key=lambda label: len(ballot[label]), default=None)


def _tokens_weakly(spoken: _Spoken, aggregation: Aggregation, silent_confidence: float) -> WeakLabel:
    tags = _by_priority(spoken) if aggregation == "priority" else _by_majority(spoken)
    confidence = [
        _agreement(ballot, None if tag == OUTSIDE else tag[2:], silent_confidence)
        for ballot, tag in zip(_ballots(spoken), tags, strict=True)
    ]
    return WeakLabel(tags, confidence, spoken.cast)


def _text_weakly(spoken: _Spoken, aggregation: Aggregation) -> WeakLabel:
    label = aggregate_label(spoken.votes, RuleSet(conflict="priority" if aggregation == "priority" else "majority"))
    if label is None:
        return WeakLabel(None, 0.0, spoken.cast)
    return WeakLabel(label, _agreement(_ballots(spoken)[0], label, 0.0), spoken.cast)


def _ballots(spoken: _Spoken) -> list[_Ballot]:
    """For each unit its labels and the rules for them; a rule has one vote for a label, however often it hits."""
    ballots: list[_Ballot] = [{} for _ in range(spoken.size)]
    for vote in spoken.votes:
        for ballot in ballots[vote.start : vote.end]:
            ballot.setdefault(str(vote.label), set()).add(vote.rule)
    return ballots


def _agreement(ballot: _Ballot, label: str | None, silent_confidence: float) -> float:
    """The share of the votes that say the same; "outside" that stands against votes counts as one vote."""
    if not ballot:
        return silent_confidence
    cast = sum(len(rules) for rules in ballot.values())
    return 1 / (1 + cast) if label is None else len(ballot[label]) / cast


def _tags(kinds: Sequence[str | None], votes: Sequence[Hit]) -> list[str]:
    """IOB2 tags of units with a label each: neighbours with one label are one entity unless the votes part them."""
    begun = {(vote.start, vote.label) for vote in votes}
    joined = {(unit, vote.label) for vote in votes for unit in range(vote.start + 1, vote.end)}
    tags: list[str] = []
    before: str | None = None
    for unit, kind in enumerate(kinds):
        new = kind != before or ((unit, kind) in begun and (unit, kind) not in joined)
        tags.append(OUTSIDE if kind is None else f"{'B' if new else 'I'}-{kind}")
        before = kind
    return tags


# --- label model ----------------------------------------------------------------------------------------------


def _vote_matrix(spoken: Sequence[_Spoken], classes: dict[str, int]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    rules = tuple(sorted({vote.rule for one in spoken for vote in one.votes}))
    columns = {rule: i for i, rule in enumerate(rules)}
    votes = np.full((sum(one.size for one in spoken), len(rules)), ABSTAIN, dtype=np.int32)
    first = 0
    for one in spoken:
        for vote in reversed(one.votes):  # where a rule contradicts itself its weightiest vote stays
            votes[first + vote.start : first + vote.end, columns[vote.rule]] = classes[str(vote.label)]
        first += one.size
    return votes, rules


def _by_label_model(
    spoken: Sequence[_Spoken], of_tokens: bool, labels: Sequence[str], silent_confidence: float
) -> list[WeakLabel]:
    # A token can also be outside of every entity, which no rule votes for; a text has one of the labels.
    names: list[str | None] = [None, *labels] if of_tokens else list(labels)
    classes = {name: i for i, name in enumerate(names) if name is not None}
    votes, _ = _vote_matrix(spoken, classes)
    posteriors = fit_label_model(votes, len(names)).posteriors(votes)
    _apply_vetoes(posteriors, spoken, classes)
    posteriors[(votes == ABSTAIN).all(axis=1)] = 0.0  # not the prior: where no rule votes nothing is concluded
    best, probability = posteriors.argmax(axis=1), posteriors.max(axis=1)
    result, first = [], 0
    for one in spoken:
        units = slice(first, first + one.size)
        first += one.size
        kinds = [names[i] if sure else None for i, sure in zip(best[units], probability[units], strict=True)]
        if of_tokens:
            confidence = np.where(probability[units] > 0, probability[units], silent_confidence).tolist()
            result.append(WeakLabel(_tags(kinds, one.votes), confidence, one.cast))
        else:
            result.append(WeakLabel(kinds[0], float(probability[units][0]), one.cast))
    return result


def _apply_vetoes(posteriors: npt.NDArray[np.float64], spoken: Sequence[_Spoken], classes: dict[str, int]) -> None:
    """Take what is vetoed out of the (units, classes) table, in place."""
    first = 0
    for one in spoken:
        for veto in one.vetoes:
            if veto.label in classes:
                posteriors[first + veto.start : first + veto.end, classes[veto.label]] = 0.0
        first += one.size
    total = posteriors.sum(axis=1, keepdims=True)
    np.divide(posteriors, total, out=posteriors, where=total > 0)
