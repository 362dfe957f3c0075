"""Means over seeds of score, knowledge kept and time, and which arms no other arm beats in both."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag_lightning.studies.summary import Outcome, metric_of

KEPT = "kept"  # the worst of all probes
OFF = ", adapter off"  # added to an arm's name: what is kept when its adapter answers for the task alone


@dataclass(frozen=True)
class Side:
    """An arm over seeds.

    Attributes:
        score, score_spread: mean and standard deviation (None with one seed) of the task's metric.
        kept: mean share of each probe that was kept, and of the worst as ``kept``; empty without probes.
        kept_spread: standard deviation of the worst.
        times: seconds of a run against the first arm's.
        on_front: no other arm keeps and scores at least as much, and one of them more.
    """

    arm: str
    metric: str
    seeds: int
    score: float
    score_spread: float | None
    kept: Mapping[str, float]
    kept_spread: float | None
    seconds: float
    times: float
    on_front: bool = False


def summarise(outcomes: Sequence[Outcome], arms: Sequence[str]) -> list[Side]:
    """A row for each arm with a score, in the order of ``arms``; one more where adapters can be switched off."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.score is not None:
            on, off = _by_adapters(outcome)
            groups[on.arm].append(on)
            if off is not None:
                groups[off.arm].append(off)
    own = [groups[name] for arm in arms for name in (arm, f"{arm}{OFF}") if name in groups]
    first = _mean([outcome.seconds for outcome in own[0]]) if own else 1.0
    sides = [_side(group, first) for group in own]
    sign = -1.0 if any(outcome.lower_is_better for outcome in outcomes) else 1.0
    points = [(sign * side.score, side.kept.get(KEPT, 0.0)) for side in sides]
    return [
        Side(**{**side.__dict__, "on_front": KEPT in side.kept and not _beaten(point, points)})
        for side, point in zip(sides, points, strict=True)
    ]


def _by_adapters(outcome: Outcome) -> tuple[Outcome, Outcome | None]:
    """The outcome with adapters in place, and with them switched off for all but the task, where that was measured."""
    from rag_lightning.probe.measure import ADAPTERS_OFF

    start = f"{ADAPTERS_OFF}/"
    off = {name.removeprefix(start): share for name, share in outcome.kept.items() if name.startswith(start)}
    if not off:
        return outcome, None
    on = {name: share for name, share in outcome.kept.items() if not name.startswith(start)}
    kept = {KEPT: min(off.values()), **off}
    return replace(outcome, kept=on), replace(outcome, arm=f"{outcome.arm}{OFF}", kept=kept)


def _side(group: list[Outcome], first: float) -> Side:
    scores = [float(outcome.score) for outcome in group if outcome.score is not None]
    names = dict.fromkeys(name for outcome in group for name in outcome.kept)
    kept = {name: _mean([o.kept[name] for o in group if name in o.kept]) for name in names}
    worst = [outcome.kept[KEPT] for outcome in group if KEPT in outcome.kept]
    seconds = _mean([outcome.seconds for outcome in group])
    return Side(
        group[0].arm, group[0].metric, len(scores), _mean(scores), _spread(scores), kept, _spread(worst), seconds,
        seconds / first if first else 1.0,
    )  # fmt: skip


def _beaten(point: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    return any(a >= point[0] and b >= point[1] and (a, b) != point for a, b in others)


def _mean(values: Sequence[float]) -> float:
    return statistics.mean(values)


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def markdown(outcomes: Sequence[Outcome], arms: Sequence[str]) -> str:
    """The table of :func:`summarise`, and the runs that failed with their reasons."""
    sides = summarise(outcomes, arms)
    probes = [name for name in dict.fromkeys(n for side in sides for n in side.kept) if name != KEPT]
    head = ["way", f"{metric_of(outcomes)} (mean ± deviation)", "kept, the worst", *probes, "minutes", "times", "seeds"]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for side in sides:
        cells = [
            f"**{side.arm}**" if side.on_front else side.arm,
            f"{side.score:.3f}{_plus(side.score_spread, '.3f')}",
            _percent(side.kept.get(KEPT), side.kept_spread),
            *(_percent(side.kept.get(name)) for name in probes),
            f"{side.seconds / 60:.1f}",
            f"{side.times:.2f}",
            str(side.seeds),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if any(side.on_front for side in sides):
        lines += ["", "Bold: no other way scores and keeps at least as much."]
    failed = [f"- {o.arm}, seed {o.seed}: {o.reason}" for o in outcomes if o.score is None]
    return "\n".join(lines + (["", "Failed:", *failed] if failed else []))


def _plus(spread: float | None, form: str) -> str:
    return "" if spread is None else f" ± {spread:{form}}"


def _percent(share: float | None, spread: float | None = None) -> str:
    if share is None:
        return ""
    return f"{100 * share:.1f} %" if spread is None else f"{100 * share:.1f} ± {100 * spread:.1f} %"
