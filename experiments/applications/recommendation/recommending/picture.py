"""The figures as one picture: warm films, cold films, histories made short."""

from pathlib import Path
from typing import Any

TEXTS, COUNTING, BOTH = "#2563eb", "#9ca3af", "#ea580c"
COLOURS = {
    "popularity": "#9ca3af", "item-kNN": "#15803d", "interest by text": TEXTS, "all but the text": "#1f2937",
    "all together": BOTH,
}  # fmt: skip


def picture(found: dict[str, Any], path: Path) -> None:
    """nDCG@10 of each way with its 95 % interval, and by how much of a history is known."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    warm, cold, short = figure.subplots(1, 3, width_ratios=(1.2, 1, 1.3))
    for axes, kind, title in ((warm, "warm", "Films with ratings"), (cold, "cold", "Films that nobody has rated")):
        rows = list(found[kind]["table"].items())[::-1]
        for place, (name, scores) in enumerate(rows):
            mean, low, high = scores["ndcg@10"]
            colour = BOTH if name == "all together" else TEXTS if "text" in name and "but" not in name else COUNTING
            axes.barh(place, mean, color=colour, xerr=[[mean - low], [high - mean]], ecolor="#1f2937", capsize=2)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set(title=f"{title}: {found[kind]['users']} users", xlabel="nDCG@10 over all films")
    lengths = found["short histories"]["lengths"]
    for name, colour in COLOURS.items():
        if lengths:
            means, lows, highs = zip(*(scores[name] for scores in lengths.values()), strict=True)
            short.plot(range(len(means)), means, color=colour, marker="o", ms=4, label=name)
            short.fill_between(range(len(means)), lows, highs, color=colour, alpha=0.12)
    short.set_xticks(range(len(lengths)), list(lengths))
    short.set(
        title=f"Short histories: {found['short histories']['users']} users, films with ratings",
        xlabel="liked films that are known", ylabel="nDCG@10",
    )  # fmt: skip
    if lengths:
        short.set_ylim(bottom=0)
        short.legend(fontsize=8, loc="lower right", ncols=2)
    figure.savefig(path, dpi=110)
