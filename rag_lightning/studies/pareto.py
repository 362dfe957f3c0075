"""The picture of a comparison: the task's score against the knowledge kept."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rag_lightning.report.plots import LINES, save_figure, style
from rag_lightning.studies.comparison_summary import KEPT, Side


def plot_pareto(path: Path, sides: Sequence[Side]) -> None:
    """A dot for each arm with its deviation over seeds, and a line along those that no other beats in both."""
    shown = [side for side in sides if KEPT in side.kept]
    if not shown:
        return
    with rc_context(style()):
        figure = Figure(figsize=(7.2, 4.8), layout="constrained")
        axes = figure.subplots()
        front = sorted((side for side in shown if side.on_front), key=lambda side: side.kept[KEPT])
        axes.plot([100 * s.kept[KEPT] for s in front], [s.score for s in front], color=LINES[0], alpha=0.4, zorder=1)
        for side in shown:
            color = LINES[0] if side.on_front else LINES[1]
            axes.errorbar(
                100 * side.kept[KEPT], side.score, xerr=_percent(side.kept_spread), yerr=side.score_spread, fmt="o",
                color=color, ecolor=color, elinewidth=0.8, markersize=6 if side.on_front else 4,
            )  # fmt: skip
        _name_points(axes, shown)
        axes.set_xlabel("knowledge kept, the worst of the probes (%)")
        axes.set_ylabel(shown[0].metric)
        axes.margins(x=0.12, y=0.12)
        save_figure(figure, path, dpi=150)


def _name_points(axes: Axes, sides: Sequence[Side]) -> None:
    """Names beside the dots, on the side where there is room, and below where another dot is just above."""
    kept, scores = [100 * side.kept[KEPT] for side in sides], [side.score for side in sides]
    middle, near = (min(kept) + max(kept)) / 2, 0.04 * (max(scores) - min(scores))
    for side, x, y in zip(sides, kept, scores, strict=True):
        left = x > middle
        crowded = any(0 < other - y < near and (at > middle) == left for at, other in zip(kept, scores, strict=True))
        axes.annotate(
            side.arm, (x, y), textcoords="offset points", xytext=(-6 if left else 6, -11 if crowded else 4),
            ha="right" if left else "left", fontsize=8,
        )  # fmt: skip


def _percent(spread: float | None) -> float | None:
    return None if spread is None else 100 * spread
