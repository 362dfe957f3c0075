"""Learning curves: the best few in colour, the others in grey."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from rag_lightning.leaderboard.certainty import told_state
from rag_lightning.leaderboard.charts.chart import LINES, OTHER, Chart, axis, label, lines
from rag_lightning.leaderboard.rows import Leaderboard, Row
from rag_lightning.report.history import Row as Step
from rag_lightning.report.history import read_history
from rag_lightning.sweep.record import Record

COLOURED = len(LINES)  # settings, with each of their seeds
MOST_SEEDS = 5
MOST_GREY = 60
_LEGEND = 36  # characters of a line, as many as a phone shows


@dataclass(frozen=True)
class Curve:
    """A trial's validation over epochs; ``place`` among the coloured settings, None for a grey one."""

    row: Row
    record: Record
    place: int | None
    steps: Sequence[Step]


def curves_of(board: Leaderboard) -> tuple[list[Curve], str]:
    """The curves that are drawn, the best last and so on top, and what was left out, in words."""
    first = board.ranked[:COLOURED]
    best = [(row, record, place) for place, row in enumerate(first) for record in row.finished[:MOST_SEEDS]]
    others = [(row, record, None) for row in board.rows[len(first) :] for record in row.records if record.folder]
    shown = [others[i * len(others) // MOST_GREY] for i in range(MOST_GREY)] if len(others) > MOST_GREY else others
    found = [Curve(row, record, place, _steps(record)) for row, record, place in (*reversed(shown), *reversed(best))]
    drawn = [curve for curve in found if curve.steps]
    left_out = len(others) - len(shown)
    note = (
        f"{left_out:,} of the {len(others):,} grey ones are left out, evenly from the best to the worst."
        if left_out
        else ""
    )
    gone = len(found) - len(drawn)
    return drawn, f"{note} {gone} have no history.".strip() if gone and drawn else note


def learning(board: Leaderboard) -> tuple[list[Chart], str]:
    """The validation headline and loss by epoch."""
    curves, note = curves_of(board)
    names = (f"validation/{board.question.headline}", "validation/loss")
    charts = [_chart(board, curves, name) for name in dict.fromkeys(names)]
    return [chart for chart in charts if chart is not None], note


def _chart(board: Leaderboard, curves: Sequence[Curve], name: str) -> Chart | None:
    traces, seen, coloured, everything = [], set[int](), list[float](), list[float]()
    for curve in curves:
        points = [(step["epoch"], step[name]) for step in curve.steps if math.isfinite(step.get(name, math.nan))]
        if points:
            everything += [y for _, y in points]
            coloured += [] if curve.place is None else [y for _, y in points]
            traces.append(_trace(board, curve, points, first=curve.place not in seen))
            seen |= {curve.place} if curve.place is not None else set()
    if not traces:
        return None
    what = name.replace("/", " ")
    shown, is_cut = _range(coloured, everything, lower=name.endswith("loss") or board.question.lower_is_better)
    return Chart(
        what,
        f"{what} by epoch of {len(traces)} trials. In colour: "
        f"{'; '.join(board.name(row) for row in board.ranked[:COLOURED])}.",
        traces,
        {
            "xaxis": axis("epoch", rangemode="tozero", **_whole_epochs(traces)),
            "yaxis": axis(label(what), range=shown),
            "hovermode": "closest",
            "legend": {"orientation": "h", "y": -0.22, "x": 0, "traceorder": "reversed"},
            "margin": {"l": 16, "r": 8, "t": 8, "b": 16},
        },
        height=400,
        note="Some of the others lie outside; double-click to see all." if is_cut else "",
    )


def _whole_epochs(traces: Sequence[dict[str, Any]]) -> dict[str, int]:
    """A few epochs are counted by ones; what plotly chooses would be halves."""
    return {"dtick": 1} if 1 < max(max(trace["x"]) for trace in traces) <= 12 else {}


def _range(coloured: Sequence[float], everything: Sequence[float], *, lower: bool) -> tuple[list[float], bool]:
    """Where the axis begins and ends, and whether that leaves any point out.

    A trial that never learnt would press the best ones into a single line: they alone say how bad is shown.
    """
    good, bad = (min, max) if lower else (max, min)
    ends = [good(everything), bad(coloured or everything)]
    room = 0.05 * abs(ends[0] - ends[1]) or 0.05
    low, high = min(ends) - room, max(ends) + room
    return [low, high], min(everything) < low or max(everything) > high


def _trace(board: Leaderboard, curve: Curve, points: Sequence[tuple[float, float]], *, first: bool) -> dict[str, Any]:
    grey, place = curve.place is None, curve.place or 0
    name = board.name(curve.row, [curve.record])
    state = "" if curve.record.state == "finished" else told_state(curve.record.state)
    rank = f"#{curve.row.rank}" if curve.row.rank else ""
    return {
        "type": "scatter",
        "mode": "lines" if len(points) > 1 else "markers",
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "name": "the others" if grey else _legend(f"{rank} {board.name(curve.row)}"),
        "legendgroup": "the others" if grey else str(place),
        "showlegend": first and not grey,
        "line": {"color": OTHER if grey else LINES[place], "width": 1 if grey else 2},
        "opacity": 0.5 if grey else 1,
        "hovertext": [lines(f"{rank} {label(name, 90)}", state, f"epoch {x:g}: {y:.4f}") for x, y in points],
        "hoverinfo": "text",
    }


def _legend(text: str) -> str:
    return lines(*(label(line) for line in wrap(text, _LEGEND)[:3]))


def _steps(record: Record) -> Sequence[Step]:
    """The rows with a validation; none where the history is gone or damaged."""
    if not record.folder:
        return ()
    try:
        rows = read_history(Path(record.folder) / "history.jsonl")
    except (OSError, ValueError):
        return ()
    return [row for row in rows if "epoch" in row and any(name.startswith("validation/") for name in row)]
