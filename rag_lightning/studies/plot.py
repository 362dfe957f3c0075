"""The picture of a label-efficiency study."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from rag_lightning.report.plots import LINES, save_figure, style
from rag_lightning.studies.summary import Row


def plot_label_curves(path: Path, rows: Sequence[Row], metric: str, *, per_label: bool) -> None:
    """Score over labels (logarithmic), a line for each arm, the seeds as dots."""
    if not rows:
        return
    with rc_context(style()):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        zero = min((row.shots for row in rows if row.shots), default=1) / 2  # where no label stands on a logarithm
        for color, arm in zip(LINES * 4, dict.fromkeys(row.arm for row in rows), strict=False):
            own = [row for row in rows if row.arm == arm]
            shots = [row.shots or zero for row in own]
            axes.plot(shots, [row.mean for row in own], color=color, marker="o", markersize=5, label=arm)
            for row, place in zip(own, shots, strict=True):
                axes.scatter([place] * len(row.scores), row.scores, color=color, s=9, alpha=0.45, linewidths=0)
        axes.set_xscale("log")
        numbers = sorted({row.shots for row in rows})
        places = [number or zero for number in numbers]
        axes.set_xticks(places, _names(numbers, places))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}"))
        axes.set_xlabel("labelled examples" + (" of each label" if per_label else ""))
        axes.set_ylabel(metric)
        axes.legend(frameon=False, loc="lower right")
        save_figure(figure, path, dpi=150)


def _names(numbers: Sequence[int], places: Sequence[float]) -> list[str]:
    """The numbers as labels of an axis; none where it would run into the one before."""
    least = (places[-1] / places[0]) ** 0.07
    names, last = [], 0.0
    for number, place in zip(numbers, places, strict=True):
        fits = place >= last * least
        names.append(f"{number:,}" if fits else "")
        last = place if fits else last
    return names
