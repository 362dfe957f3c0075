"""Means over seeds, how many labels each arm saves, and which labels it helps and hurts."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

_SHOWN = 4  # labels with the greatest loss, and with the greatest gain, where there are many


@dataclass(frozen=True)
class Outcome:
    """What a run gave; no score where it failed, and why."""

    arm: str
    shots: int
    seed: int
    score: float | None
    metric: str
    seconds: float
    reason: str | None
    folder: str | None
    by_label: Mapping[str, float] = field(default_factory=dict)  # F1 of each label
    kept: Mapping[str, float] = field(default_factory=dict)  # of each probe, and the worst as "kept"
    lower_is_better: bool = False


@dataclass(frozen=True)
class Row:
    """An arm with a number of labels, over seeds.

    Attributes:
        spread: standard deviation over the seeds; None with one seed.
        equals: labels with which the first arm is as good, between its measured numbers along the logarithm; None
            where it never is, or for the first arm itself.
        beyond: whether the first arm is worse with all numbers of labels that were tried.
    """

    arm: str
    shots: int
    scores: tuple[float, ...]
    mean: float
    spread: float | None
    seconds: float
    equals: float | None = None
    beyond: bool = False


def summarise(outcomes: Sequence[Outcome], arms: Sequence[str]) -> list[Row]:
    """A row for each arm and number of labels that has a score.

    Args:
        arms: in the order of the table; the first one is what the others are compared with.
    """
    groups: dict[tuple[str, int], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.score is not None:
            groups[outcome.arm, outcome.shots].append(outcome)
    ordered = sorted(groups, key=lambda key: (arms.index(key[0]), key[1]))
    rows = [_row(arm, shots, groups[arm, shots]) for arm, shots in ordered]
    curve = [(row.shots, row.mean) for row in rows if row.arm == arms[0]] if arms else []
    return [row if row.arm == arms[0] else _compared(row, curve) for row in rows]


def _row(arm: str, shots: int, group: list[Outcome]) -> Row:
    scores = tuple(float(outcome.score) for outcome in group if outcome.score is not None)
    spread = statistics.stdev(scores) if len(scores) > 1 else None
    return Row(arm, shots, scores, statistics.mean(scores), spread, statistics.mean(o.seconds for o in group))


def _compared(row: Row, curve: list[tuple[int, float]]) -> Row:
    beyond = bool(curve) and all(score < row.mean for _, score in curve)
    return replace(row, equals=labels_for(row.mean, curve), beyond=beyond)


def labels_for(score: float, curve: Sequence[tuple[int, float]]) -> float | None:
    """With how many labels a curve reaches a score, between its points along the logarithm of the labels.

    Args:
        curve: (labels, score), labels rising.
    """
    for (few, low), (many, high) in zip(curve, curve[1:], strict=False):
        if low < score <= high:
            share = (score - low) / (high - low)
            return math.exp(math.log(max(few, 1)) + share * (math.log(many) - math.log(max(few, 1))))
    reached = [labels for labels, value in curve if value >= score]
    return float(reached[0]) if reached else None


def metric_of(outcomes: Sequence[Outcome]) -> str:
    """The name of the score; only a run that failed has none."""
    return next((outcome.metric for outcome in outcomes if outcome.metric), "score")


def markdown(outcomes: Sequence[Outcome], arms: Sequence[str], *, per_label: bool) -> str:
    """The table of :func:`summarise`, what happened to single labels, and the runs that failed with their reasons."""
    rows, first = summarise(outcomes, arms), arms[0]
    each, metric = " per label" if per_label else "", metric_of(outcomes)
    lines = [
        f"| way | labels{each} | {metric} (mean ± deviation) | seeds | as good as {first} with | minutes a run |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for row in rows:
        spread = "" if row.spread is None else f" ± {row.spread:.3f}"
        scores = " / ".join(f"{score:.3f}" for score in row.scores)
        cells = (
            row.arm,
            f"{row.shots:,}",
            f"**{row.mean:.3f}**{spread}",
            scores,
            _equals(row),
            f"{row.seconds / 60:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += _label_table(outcomes, first)
    failed = [f"- {o.arm}, {o.shots:,} labels, seed {o.seed}: {o.reason}" for o in outcomes if o.score is None]
    return "\n".join(lines + (["", "Failed:", *failed] if failed else []))


def _equals(row: Row) -> str:
    if row.beyond:
        return "more than were tried"
    if row.equals is None:
        return ""
    times = f" ({row.equals / row.shots:.1f}x)" if row.shots else ""
    return f"{row.equals:,.0f}{times}"


def _label_table(outcomes: Sequence[Outcome], first: str) -> list[str]:
    """F1 of each label beside the first arm's with as many examples: where an arm helps, and where it hurts."""
    groups: dict[tuple[int, str], list[Mapping[str, float]]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.by_label:
            groups[outcome.shots, outcome.arm].append(outcome.by_label)
    lines = []
    for shots, arm in sorted(groups, key=lambda key: key[0]):
        if arm == first or (shots, first) not in groups:
            continue
        before, after = _means(groups[shots, first]), _means(groups[shots, arm])
        changes = sorted((after[name] - before[name], name) for name in before if name in after)
        shown = changes if len(changes) <= 2 * _SHOWN else [*changes[:_SHOWN], *changes[-_SHOWN:]]
        told = ", ".join(f"{name} {before[name]:.2f} → {after[name]:.2f} ({change:+.2f})" for change, name in shown)
        worse = sum(change < 0 for change, _ in changes)
        lines.append(f"| {arm} | {shots:,} | {worse} of {len(changes)} | {told} |")
    head = [
        "",
        f"| way | labels | worse than {first} | F1 by label, {first} → way, the worst change first |",
        "|---|---:|---|---|",
    ]
    return head + lines if lines else []


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in scores for name in one)
    return {name: statistics.mean(one[name] for one in scores if name in one) for name in names}
