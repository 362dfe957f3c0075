"""How much of the spread of scores each swept key explains."""

from rag_lightning.leaderboard.charts.chart import LINES, OTHER, Chart, axis, label
from rag_lightning.leaderboard.importance import Importance
from rag_lightning.leaderboard.names import SEED


def bars(found: Importance, headline: str) -> Chart | None:
    """A bar for each key, the greatest on top; grey for the seed, which is chance."""
    if not found.shares:
        return None
    names, shares = list(found.shares)[::-1], list(found.shares.values())[::-1]
    told = ", ".join(f"{name} {100 * share:.0f} %" for name, share in found.shares.items())
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [100 * share for share in shares],
        "y": [label(name) for name in names],
        "text": [f"{100 * share:.0f} %" for share in shares],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": [OTHER if name == SEED else LINES[0] for name in names]},
        "hoverinfo": "skip",
    }
    layout = {
        "xaxis": axis("share of the variance (%)", range=[0, 112 * max(shares)]),
        "yaxis": axis("", type="category"),
        "margin": {"l": 16, "r": 40, "t": 8, "b": 16},
        "bargap": 0.35,
    }
    alt = f"Share of the variance of the validation {headline} that each swept key explains: {told}."
    chance = "The seed's bar is chance: what is not longer than it says nothing. " if SEED in names else ""
    return Chart("", alt, [trace], layout, height=110 + 36 * len(names), note=f"{chance}{found.note}".strip())
