"""One answer out of hits that may disagree: non-overlapping labelled stretches, or one label for a text."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from rag_lightning.rules.hits import Hit
from rag_lightning.rules.ruleset import Conflict, RuleSet

Stretch = tuple[int, int, str]  # first unit, one after the last, label

_Key = Callable[[Hit], tuple[Any, ...]]


def aggregate_spans(hits: Iterable[Hit], ruleset: RuleSet) -> list[Stretch]:
    """The labelled stretches that a rule set answers with, from left to right, none overlapping.

    A veto removes every hit of its label that it touches. Then, by ``conflict``: *priority*: the highest counts, then
    the longest, then the leftmost; *longest*: the longest, then the highest; *majority*: the stretch and label for
    which most rules speak, then as priority; *abstain*: where hits of different labels touch, none counts.

    Args:
        hits: of one text.
    """
    votes = _without_vetoed(list(hits))
    if ruleset.conflict == "abstain":
        votes = _without_disputed(votes)
    order = _order(votes, ruleset.conflict)
    taken: list[Stretch] = []
    for hit in sorted(votes, key=order):
        place = bisect_left(taken, hit.start, key=itemgetter(0))
        after_the_last = place == 0 or taken[place - 1][1] <= hit.start
        before_the_next = place == len(taken) or hit.end <= taken[place][0]
        if after_the_last and before_the_next:
            taken.insert(place, (hit.start, hit.end, str(hit.label)))
    return taken


def aggregate_label(hits: Iterable[Hit], ruleset: RuleSet) -> str | None:
    """The label that a rule set gives a whole text; None if no rule speaks or it is a tie.

    Every hit votes. A veto anywhere excludes its label. By ``conflict``: *priority*: only hits of the highest priority
    vote; *longest*: only the longest; *majority*: all; *abstain*: all, and they must agree.
    """
    every = list(hits)
    excluded = {hit.label for hit in every if hit.veto}
    votes = [hit for hit in every if hit.label is not None and not hit.veto and hit.label not in excluded]
    if not votes:
        return None
    if ruleset.conflict == "priority":
        highest = max(hit.priority for hit in votes)
        votes = [hit for hit in votes if hit.priority == highest]
    elif ruleset.conflict == "longest":
        longest = max(hit.end - hit.start for hit in votes)
        votes = [hit for hit in votes if hit.end - hit.start == longest]
    counts = Counter(hit.label for hit in votes).most_common(2)
    tie = len(counts) > 1 and (ruleset.conflict == "abstain" or counts[0][1] == counts[1][1])
    return None if tie else counts[0][0]


def touch(one: Hit, other: Hit) -> bool:
    """Whether two hits share a unit."""
    return one.start < other.end and other.start < one.end


class _Covered:
    """The stretches that some hits cover, joined where they touch."""

    def __init__(self, hits: Iterable[Hit]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for hit in sorted(hits, key=lambda hit: hit.start):
            if self._ends and hit.start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], hit.end)
            else:
                self._starts.append(hit.start)
                self._ends.append(hit.end)

    def touches(self, hit: Hit) -> bool:
        place = bisect_left(self._starts, hit.end) - 1
        return place >= 0 and self._ends[place] > hit.start


def _covered_by_label(hits: Iterable[Hit]) -> dict[str | None, _Covered]:
    by_label: dict[str | None, list[Hit]] = {}
    for hit in hits:
        by_label.setdefault(hit.label, []).append(hit)
    return {label: _Covered(found) for label, found in by_label.items()}


def _without_vetoed(hits: Sequence[Hit]) -> list[Hit]:
    vetoed = _covered_by_label(hit for hit in hits if hit.veto)
    votes = [hit for hit in hits if hit.label is not None and not hit.veto]
    return [hit for hit in votes if hit.label not in vetoed or not vetoed[hit.label].touches(hit)]


def _without_disputed(votes: Sequence[Hit]) -> list[Hit]:
    covered = _covered_by_label(votes)
    return [hit for hit in votes if not any(of != hit.label and by.touches(hit) for of, by in covered.items())]


def _order(votes: Sequence[Hit], conflict: Conflict) -> _Key:
    """What comes first counts."""
    if conflict == "longest":
        return lambda hit: (hit.start - hit.end, -hit.priority, hit.start, hit.rule, hit.label)
    rules: dict[tuple[int, int, str | None], set[str]] = {}
    if conflict == "majority":
        for hit in votes:
            rules.setdefault((hit.start, hit.end, hit.label), set()).add(hit.rule)
    return lambda hit: (
        -len(rules.get((hit.start, hit.end, hit.label), ())),
        -hit.priority,
        hit.start - hit.end,
        hit.start,
        hit.rule,
        hit.label,
    )
