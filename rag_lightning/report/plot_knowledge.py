"""The picture of what was kept: drift by layer, and the share that each probe has left."""

import math
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rag_lightning.report.knowledge import Kept, Knowledge
from rag_lightning.report.plots import BLUE, GREEN, GRID, ORANGE, save_figure, style

_NAMES = {"cka": "CKA", "cosine": "cosine"}


def plot_knowledge(path: Path, knowledge: Knowledge) -> bool:
    """Draw what there is.

    Returns:
        Whether there was anything to draw (if not, no file is written).
    """
    shares = [row for row in knowledge.rows if row.counts and math.isfinite(row.kept)]
    drifted = any(knowledge.layers(name) for name in _NAMES)
    panels = [name for name, there in (("shares", bool(shares)), ("layers", drifted)) if there]
    if not panels:
        return False
    with rc_context(style()):
        figure = Figure(figsize=(4.6 * len(panels), max(2.9, 0.34 * len(shares) + 1.2)), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            if name == "shares":
                _draw_shares(axes, shares)
            else:
                _draw_layers(axes, knowledge)
            axes.spines[["top", "right"]].set_visible(False)
        save_figure(figure, path, dpi=120)
    return True


def _draw_shares(axes: Axes, shares: list[Kept]) -> None:
    worst = min(row.kept for row in shares)
    names = [f"{row.probe} {row.metric.replace('/', ' ')}" for row in shares]
    colours = [ORANGE if row.kept == worst else BLUE for row in shares]
    bars = axes.barh(names, [row.kept for row in shares], color=colours, height=0.6)
    axes.bar_label(bars, [f"{100 * row.kept:.1f} %" for row in shares], padding=3)
    axes.axvline(1, color=GREEN, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.set_xlim(0, 1.2 * max(1.0, *(row.kept for row in shares)))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(max(len(shares), 3) - 0.4, -0.6)
    axes.set_title("kept of what was known", loc="left")


def _draw_layers(axes: Axes, knowledge: Knowledge) -> None:
    for name, colour in (("cka", BLUE), ("cosine", GREEN)):
        values = knowledge.layers(name)
        axes.plot(list(values), list(values.values()), "o-", color=colour, markersize=4, label=_NAMES[name])
    distances = knowledge.layers("distance")
    axes.set_ylim(top=1.03)
    axes.set_xlabel("layer (0: embeddings)")
    axes.grid(axis="y", color=GRID)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("likeness to the pretrained states", loc="left")
    axes.legend(loc="lower left")
    if distances:
        right = axes.twinx()
        right.plot(list(distances), list(distances.values()), ".:", color=ORANGE)
        right.set_ylabel("distance of weights (dotted)", color=ORANGE)
        right.set_ylim(bottom=0)
        right.spines[["top"]].set_visible(False)
