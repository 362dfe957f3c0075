"""Pictures of a run: training curves and a confusion matrix, as PNG on white."""

import io
import logging
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rag_lightning.report.files import write_bytes
from rag_lightning.report.history import Row, series
from rag_lightning.tasks.evaluation import Confusion

BLUE, ORANGE, GREEN, INK, GRID = "#2563eb", "#ea580c", "#15803d", "#1f2937", "#e5e7eb"
LINES = ("#2563eb", "#ea580c", "#15803d", "#7c3aed", "#db2777", "#0891b2", "#a16207", "#4b5563")
# White is nothing; the square root as scale (PowerNorm) makes rare confusions visible beside the diagonal.
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#dbeafe", "#93c5fd", "#2563eb", "#172554"])
MOST_LABELS = 40
MOST_WITH_SHARES = 12  # labels; with more, a cell has no room for the percentage
# Averages over labels, which the panel of labels leaves out.
AVERAGES = {"micro", "macro", "weighted", "token", "entity"}
# Tried in this order for characters that the default font lacks.
FONTS = (
    "DejaVu Sans",
    "Noto Sans",
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Arial Unicode MS",
    "Microsoft YaHei",
)

Panel = tuple[str, Callable[[Axes], None]]


def plot_curves(path: Path, rows: list[Row], headline: str = "f1") -> bool:
    """Draw the history as small multiples; panels without values are left out.

    Returns:
        Whether there was anything to draw (if not, no file is written).
    """
    panels = _panels(rows, headline)
    if not panels:
        return False
    columns = min(3, len(panels))
    height = math.ceil(len(panels) / columns)
    with rc_context(style()):
        figure = Figure(figsize=(4.1 * columns, 2.9 * height), layout="constrained")
        grid = figure.subplots(height, columns, squeeze=False).ravel()
        for index, (axes, (title, draw)) in enumerate(zip(grid, panels, strict=False)):
            draw(axes)
            _dress(axes, title, rows, lowest=index + columns >= len(panels))
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        save_figure(figure, path, dpi=120)
    return True


def plot_confusion(path: Path, confusion: Confusion) -> None:
    """Draw counts coloured by their share of the row; labels beyond the 39 most frequent become "other"."""
    labels, counts = _fold(confusion)
    n = len(labels)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    cell = 0.82 if n <= 6 else 0.66 if n <= 12 else 0.46 if n <= 20 else 0.38
    side = cell * n
    with rc_context(style()):
        figure = Figure(figsize=(side, side))
        axes = figure.add_axes((0, 0, 1, 1))  # cells of the same size whatever the labels; saving adds their room
        image = axes.imshow(shares, cmap=SHADES, norm=PowerNorm(0.5, 0, 1), aspect="equal")
        _cells(axes, counts, shares)
        upright = 0.08 * max(len(label) for label in labels) <= cell
        axes.set_xticks(range(n), labels, rotation=0 if upright else 90)
        axes.set_yticks(range(n), [f"{x}  ({int(t):,})" for x, t in zip(labels, totals[:, 0], strict=True)])
        axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=GRID, linewidth=0.8)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted", labelpad=8)
        axes.set_ylabel("gold (count)", labelpad=8)
        axes.set_title(confusion.title, pad=10)
        if n > MOST_WITH_SHARES:
            _scale(figure, image, side)
        save_figure(figure, path, dpi=110)


def _scale(figure: Figure, image: AxesImage, side: float) -> None:
    height = min(0.8, 3.5 / side)
    bar = figure.colorbar(image, cax=figure.add_axes((1 + 0.25 / side, (1 - height) / 2, 0.18 / side, height)))
    bar.set_ticks([0, 0.05, 0.25, 0.5, 1], labels=["0 %", "5 %", "25 %", "50 %", "100 %"])
    bar.ax.minorticks_off()
    bar.set_label("share of the gold label")
    bar.outline.set_visible(False)


def _panels(rows: list[Row], headline: str) -> list[Panel]:
    panels: list[Panel] = []
    names = set().union(*rows) if rows else set()
    train = "train/loss" if "train/loss" in names else "train/loss_step"
    if {train, "validation/loss"} & names:
        panels.append(("loss", lambda axes: _draw_loss(axes, rows, train)))
    score = f"validation/{headline}"
    if score in names:
        panels.append((f"validation {headline}", lambda axes: _draw_score(axes, rows, score)))
    labels = _label_scores(rows, names)
    if len(labels) > 1:
        shown = f", {len(LINES)} of {len(labels)} labels" if len(labels) > len(LINES) else ""
        panels.append((f"validation f1 by label{shown}", lambda axes: _draw_labels(axes, rows, labels)))
    rates = sorted(name for name in names if name == "lr" or name.startswith("lr/") or name.startswith("lr-"))
    if rates:
        panels.append(("learning rate", lambda axes: _draw_rates(axes, rows, rates)))
    for name, title in (
        ("train/grad_norm", "gradient norm"),
        ("throughput/tokens_per_s", "tokens/s"),
    ):
        if name in names:
            panels.append((title, lambda axes, name=name: _draw_noisy(axes, rows, name)))  # type: ignore[misc]
    return panels


def _draw_loss(axes: Axes, rows: list[Row], train: str) -> None:
    steps, values = series(rows, train)
    if steps:
        _noisy(axes, steps, values, BLUE, "train")
    steps, values = series(rows, "validation/loss")
    if steps:
        axes.plot(steps, values, "o-", color=ORANGE, markersize=4, label="validation")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _draw_score(axes: Axes, rows: list[Row], name: str) -> None:
    steps, values = series(rows, name)
    axes.plot(steps, values, "o-", color=GREEN, markersize=4)
    if np.isfinite(values).any():
        best = int(np.nanargmax(values))
        axes.plot(steps[best], values[best], "o", color=GREEN, markersize=9, mfc="white", mew=1.7, zorder=4)
        axes.set_title(f"best {values[best]:.3f}", loc="right", color=GREEN)
    axes.margins(y=0.15)


def _draw_labels(axes: Axes, rows: list[Row], labels: list[str]) -> None:
    for color, label in zip(LINES, labels, strict=False):
        steps, values = series(rows, f"validation/{label}/f1")
        axes.plot(steps, values, ".-", color=color, markersize=5, linewidth=1.3, label=label)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(loc="lower right", ncols=2 if len(labels) > 4 else 1)


def _draw_rates(axes: Axes, rows: list[Row], rates: list[str]) -> None:
    for color, name in zip(LINES, rates, strict=False):
        axes.plot(*series(rows, name), color=color, label=name.removeprefix("lr/").removeprefix("lr-"))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: _scientific(v)))
    if len(rates) > 1:
        axes.legend(loc="upper right")


def _scientific(value: float) -> str:
    """5e-5, shorter than Python's 5e-05."""
    mantissa, exponent = f"{value:.3e}".split("e")
    return "0" if value == 0 else f"{float(mantissa):g}e{int(exponent)}"


def _draw_noisy(axes: Axes, rows: list[Row], name: str) -> None:
    steps, values = series(rows, name)
    _noisy(axes, steps, values, BLUE, None)
    finite = [v for v in values if math.isfinite(v) and v > 0]
    if name == "train/grad_norm" and finite and max(finite) > 30 * float(np.median(finite)):
        axes.set_yscale("log")  # one spike would flatten all the rest
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}" if v >= 10 else f"{v:g}"))


def _noisy(axes: Axes, steps: list[float], values: list[float], color: str, label: str | None) -> None:
    """The values faintly with their running mean, or plainly where they are few."""
    if len(values) < 25:
        axes.plot(steps, values, ".-", color=color, markersize=5, label=label)
        return
    axes.plot(steps, values, color=color, alpha=0.25, linewidth=0.8)
    axes.plot(steps, _smooth(values), color=color, label=label)


def _smooth(values: list[float]) -> np.ndarray:
    """A centred running mean over a twentieth of the values; NaN counts for nothing."""
    array = np.asarray(values, dtype=float)
    kernel = np.ones(max(3, len(values) // 20))
    good = np.isfinite(array)
    total = np.convolve(np.where(good, array, 0.0), kernel, "same")
    number = np.convolve(good.astype(float), kernel, "same")
    return np.divide(total, number, out=np.full(len(array), np.nan), where=number > 0)


def _label_scores(rows: list[Row], names: set[str]) -> list[str]:
    found = (re.fullmatch(r"validation/(.+)/f1", name) for name in names)
    return sorted(match[1] for match in found if match and match[1].split("/")[0] not in AVERAGES)


def _dress(axes: Axes, title: str, rows: list[Row], lowest: bool) -> None:
    axes.set_title(title, loc="left")
    ends, last = _epoch_ends(rows), max(row["step"] for row in rows)
    axes.set_xlim(-0.03 * last, 1.03 * last)
    if lowest:
        axes.set_xlabel("step (dotted: end of an epoch)" if ends else "step")
    axes.grid(axis="y", color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    for step in ends:
        axes.axvline(step, color="#9ca3af", linewidth=0.7, linestyle=(0, (1, 3)), zorder=0)


def _epoch_ends(rows: list[Row]) -> list[float]:
    """Steps at which an epoch ended; none where they would be a thicket."""
    known = [(row["epoch"], row["step"]) for row in rows if math.isfinite(row.get("epoch", math.nan))]
    last = int(known[-1][0]) if known else 0
    if not 1 <= last <= 20:
        return []
    epochs, steps = zip(*known, strict=True)
    return [float(np.interp(epoch, epochs, steps)) for epoch in range(1, last + 1)]


def _cells(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    n = len(counts)
    size = 10 if n <= 6 else 8.5 if n <= 12 else 7.5
    for i, j in zip(*np.nonzero(counts), strict=True):
        number, share = int(counts[i, j]), float(shares[i, j])
        text = f"{number:,}" if n <= MOST_WITH_SHARES else _short(number)
        if n <= MOST_WITH_SHARES:
            text += f"\n{100 * share:.0f} %" if share >= 0.005 else "\n<1 %"
        color = "white" if share > 0.35 else INK
        axes.text(j, i, text, ha="center", va="center", fontsize=size, color=color, linespacing=1.15)


def _short(number: int) -> str:
    return str(number) if number < 1000 else f"{number / 1000:.1f}k" if number < 10_000 else f"{number // 1000}k"


def _fold(confusion: Confusion) -> tuple[list[str], np.ndarray]:
    counts = np.asarray(confusion.counts, dtype=np.int64)
    labels = list(confusion.labels)
    if len(labels) <= MOST_LABELS:
        return labels, counts
    weight = counts.sum(axis=0) + counts.sum(axis=1)
    kept = sorted(np.argsort(-weight, kind="stable")[: MOST_LABELS - 1].tolist())
    where = np.full(len(labels), len(kept))
    where[kept] = range(len(kept))
    folded = np.zeros((len(kept) + 1, len(kept) + 1), dtype=np.int64)
    np.add.at(folded, (where[:, None], where[None, :]), counts)
    return [*(labels[i] for i in kept), f"other ({len(labels) - len(kept)})"], folded


def style() -> dict[str, object]:
    installed = set(font_manager.get_font_names())
    return {
        "font.family": [name for name in FONTS if name in installed] or ["sans-serif"],
        "font.size": 9,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.labelcolor": "#4b5563",
        "axes.edgecolor": "#9ca3af",
        "axes.axisbelow": True,
        "text.color": INK,
        "xtick.color": "#4b5563",
        "ytick.color": "#4b5563",
        "lines.linewidth": 1.7,
        "legend.framealpha": 0.85,
        "legend.edgecolor": "none",
        "legend.fontsize": 8.5,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
    }


def save_figure(figure: Figure, path: Path, dpi: int) -> None:
    """Written whole or not at all; no display and no global figure list is touched."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # scripts that no installed font has become boxes
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.12)
    write_bytes(path, buffer.getvalue())
