"""What a model has kept of what the pretrained one knew, as a report shows it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rag_lightning.tasks.evaluation import Table

Scores = Mapping[str, float]  # metric -> value
Measured = Mapping[str, Scores]  # probe -> its scores
TITLE = "What was kept"
HEADLINE = "kept"
_LAYER = re.compile(r"layer/(\d+)/(\w+)")


@dataclass(frozen=True)
class Kept:
    """One metric of a probe before and after training.

    Attributes:
        kept: after / before, or before / after where lower is better; NaN where that says nothing.
        counts: whether it is one of knowledge, the smallest of which is the headline.
    """

    probe: str
    metric: str
    before: float
    after: float
    kept: float
    counts: bool


@dataclass(frozen=True)
class Knowledge:
    """All that the probes of a run gave.

    Attributes:
        rows: in the order of the probes; those of single layers (``layer/3/cka``) too.
        notes: sentences on what was not measured, and on what.
        asked: the probes by name, with their options.
    """

    rows: tuple[Kept, ...]
    notes: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> float:
        """The smallest share of knowledge that was kept; NaN where none was measured."""
        shares = [row.kept for row in self.rows if row.counts and math.isfinite(row.kept)]
        return min(shares, default=math.nan)

    def metrics(self) -> dict[str, float]:
        """``<probe>/<metric>/before``, ``after`` and ``kept`` where they are numbers, and the headline ``kept``."""
        values = {HEADLINE: self.headline}
        for row in self.rows:
            name = f"{row.probe}/{row.metric}"
            values |= {f"{name}/before": row.before, f"{name}/after": row.after, f"{name}/kept": row.kept}
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def beside(self, other: "Knowledge", name: str) -> "Knowledge":
        """This one with the rows of another measurement, called ``<name>/<probe>``, which do not count."""
        rows = tuple(replace(row, probe=f"{name}/{row.probe}", counts=False) for row in other.rows)
        return replace(self, rows=self.rows + rows)

    def table(self) -> Table:
        """The probes' metrics, without those of single layers."""
        rows = tuple(
            (row.probe, row.metric, row.before, row.after, _percent(row.kept))
            for row in self.rows
            if not _LAYER.fullmatch(row.metric)
        )
        note = "Kept: after / before, or before / after where lower is better."
        if math.isfinite(self.headline):
            note += f" The least that was kept of knowledge (drift is none): {_percent(self.headline)}."
        return Table(TITLE, ("probe", "metric", "before", "after", "kept"), rows, note=note)

    def layers(self, metric: str) -> dict[int, float]:
        """By layer, from 0 (what goes into the first one), a metric after training."""
        found = ((row, _LAYER.fullmatch(row.metric)) for row in self.rows if "/" not in row.probe)
        return {int(match[1]): row.after for row, match in found if match and match[2] == metric}

    def to_json(self) -> dict[str, Any]:
        """As ``probe.json`` keeps it."""
        return {
            "kept": self.headline,
            "rows": [vars(row) for row in self.rows],
            "notes": list(self.notes),
            "asked": dict(self.asked),
        }


def compare(
    before: Measured,
    after: Measured,
    higher_is_better: Callable[[str, str], bool],
    counts: Callable[[str, str], bool],
    notes: tuple[str, ...] = (),
    asked: Mapping[str, Any] | None = None,
) -> Knowledge:
    """Both measurements side by side.

    Args:
        higher_is_better: ``(probe, metric)`` -> whether more of it is better.
        counts: ``(probe, metric)`` -> whether it measures knowledge.
    """
    rows = []
    for probe, scores in after.items():
        for metric, value in scores.items():
            first = before.get(probe, {}).get(metric, math.nan)
            share = kept_share(first, value, higher_is_better(probe, metric))
            rows.append(Kept(probe, metric, first, value, share, counts(probe, metric)))
    return Knowledge(tuple(rows), notes, asked or {})


def kept_share(before: float, after: float, higher_is_better: bool) -> float:
    """after / before, or before / after where lower is better; NaN where nothing was there to be kept.

    What became negative, such as a correlation, is kept to nothing.
    """
    if not math.isfinite(before) or before <= 0:
        return math.nan
    if not math.isfinite(after):
        return 0.0
    if higher_is_better:
        return max(0.0, after / before)
    return before / after if after > 0 else math.inf


def _percent(share: float) -> str:
    return "–" if not math.isfinite(share) else f"{100 * share:.1f} %"
