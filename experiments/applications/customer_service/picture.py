"""Three pictures of a service desk: what refusing costs, what each score detects, what the look-up finds."""

from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {"pretrained": "#6b7280", "plain": "#2563eb", "balanced": "#ea580c"}
LINES = {"probability": "-", "energy": "--", "nearness": ":"}
SHORT = {"unseen": "held-out intents", "other": "other questions"}


def picture(results: dict[str, Any], curves: dict[str, Any], path: Path) -> None:
    """Write the picture.

    Args:
        results: as in results.json.
        curves: backbone -> "risk" (score -> coverage, risk) and "recall_unseen" (recall at 1, 2 …).
        path: of the PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    risk, bars, recall = figure.subplots(1, 3, width_ratios=(1.2, 1.3, 1))
    for score, (coverage, wrong) in curves["balanced"]["risk"].items():
        risk.plot(coverage, wrong, LINES[score], color=COLOURS["balanced"], label=f"balanced, {score}")
    coverage, wrong = curves["pretrained"]["risk"]["nearness"]
    risk.plot(coverage, wrong, LINES["nearness"], color=COLOURS["pretrained"], label="pretrained, nearness")
    asked = results["questions"]
    known = asked["test"] / (asked["test"] + asked["unseen"] + asked["other"])
    risk.axvline(known, color="#9ca3af", lw=0.8)
    risk.annotate("share of known intents", (known, 0.98), xycoords=("data", "axes fraction"), rotation=90, fontsize=8,
                  ha="right", va="top", color="#6b7280")  # fmt: skip
    risk.set(
        title="Risk by coverage", xlabel="share of all questions answered", ylabel="share of answers that are wrong"
    )
    risk.set(xlim=(0, 1), ylim=(0, None))
    risk.legend(fontsize=8, loc="best")
    _bars(bars, results)
    for name, each in curves.items():
        recall.plot(range(1, len(each["recall_unseen"]) + 1), each["recall_unseen"], "o-", ms=4,
                    color=COLOURS[name], label=name)  # fmt: skip
    recall.set(title="Look-up: the right intent among the found", xlabel="past questions looked at",
               ylabel="recall, held-out intents")  # fmt: skip
    recall.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)


def _bars(axes: Any, results: dict[str, Any]) -> None:
    """AUROC of each score of each backbone, for both kinds of questions that ought to be refused."""
    pairs = [(name, score) for name in COLOURS for score in results[name]["refusal"]]
    for shift, (part, hatch) in zip((-0.2, 0.2), (("unseen", None), ("other", "//")), strict=True):
        values = [results[name]["refusal"][score][part]["auroc"] for name, score in pairs]
        places = np.arange(len(pairs)) + shift
        axes.bar(places, values, 0.38, color=[COLOURS[name] for name, _ in pairs], hatch=hatch, edgecolor="white",
                 label=SHORT[part])  # fmt: skip
        for place, value in zip(places, values, strict=True):
            axes.annotate(f"{value:.3f}".lstrip("0"), (place, value), ha="center", va="bottom", fontsize=7)
    names = [f"{name}\n{score}" for name, score in pairs]
    axes.set_xticks(range(len(pairs)), names, fontsize=7)
    least = min(results[name]["refusal"][score][part]["auroc"] for name, score in pairs for part in SHORT)
    axes.set(title="Refusal: AUROC", ylim=(max(0.0, least - 0.05), 1.08))
    axes.legend(fontsize=8, loc="upper center", ncols=2, frameon=False)
