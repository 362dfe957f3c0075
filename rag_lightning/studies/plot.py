"""The picture of a label-efficiency study."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rag_lightning.report.plots import LINES, save_figure, style
from rag_lightning.studies.summary import Row


def plot_label_curves(path: Path, rows: Sequence[Row], metric: str, *, per_label: bool) -> None:
    """Score over labels (logarithmic), a line for each arm, the seeds as dots; for one number of labels a row each."""
    if not rows:
        return
    numbers = sorted({row.shots for row in rows})
    with rc_context(style()):
        height = 4.2 if len(numbers) > 1 else 1.2 + 0.3 * len(rows)
        figure = Figure(figsize=(6.4, height), layout="constrained")
        axes = figure.subplots()
        labels = "labelled examples" + (" of each label" if per_label else "")
        if len(numbers) > 1:
            _draw_curves(axes, rows, numbers)
            axes.set_xlabel(labels)
            axes.set_ylabel(metric)
        else:
            _draw_rows(axes, rows)
            axes.set_xlabel(f"{metric}, {numbers[0]:,} {labels}")
        save_figure(figure, path, dpi=150)


def _draw_curves(axes: Axes, rows: Sequence[Row], numbers: Sequence[int]) -> None:
    zero = min((number for number in numbers if number), default=1) / 2  # where no label stands on a logarithm
    for color, arm in zip(LINES * 4, dict.fromkeys(row.arm for row in rows), strict=False):
        own = [row for row in rows if row.arm == arm]
        shots = [row.shots or zero for row in own]
        axes.plot(shots, [row.mean for row in own], color=color, marker="o", markersize=5, label=arm)
        for row, place in zip(own, shots, strict=True):
            axes.scatter([place] * len(row.scores), row.scores, color=color, s=9, alpha=0.45, linewidths=0)
    axes.set_xscale("log")
    places = [number or zero for number in numbers]
    axes.set_xticks(places, _names(numbers, places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend(frameon=False, loc="lower right")


def _draw_rows(axes: Axes, rows: Sequence[Row]) -> None:
    """The first arm on top, with a line down from it: left of it is worse."""
    axes.axvline(rows[0].mean, color=LINES[0], linewidth=1, alpha=0.5)
    for place, row in enumerate(rows):
        axes.scatter(row.scores, [place] * len(row.scores), color=LINES[0], s=12, alpha=0.45, linewidths=0)
        axes.plot([row.mean], [place], color=LINES[0], marker="o", markersize=6)
    axes.set_yticks(range(len(rows)), [row.arm for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _names(numbers: Sequence[int], places: Sequence[float]) -> list[str]:
    """The numbers as labels of an axis; none where it would run into the one before."""
    least = (places[-1] / places[0]) ** 0.07
    names, last = [], 0.0
    for number, place in zip(numbers, places, strict=True):
        fits = place >= last * least
        names.append(f"{number:,}" if fits else "")
        last = place if fits else last
    return names
