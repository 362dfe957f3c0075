"""Score against knowledge kept and against time, with the settings that no other beats in both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rag_lightning.leaderboard.charts.chart import LINES, OTHER, Chart, axis, label, lines
from rag_lightning.leaderboard.rows import Leaderboard, Mean, Row

MOST_POINTS = 2000
_NAMED = 12  # points of the front that carry their rank


@dataclass(frozen=True)
class Point:
    """A setting: ``x`` knowledge or time, ``y`` score."""

    row: Row
    x: Mean
    y: Mean


def front_of(points: Sequence[Point], x_sign: float, y_sign: float) -> list[Point]:
    """The points that no other beats in one way and equals in the other, from left to right.

    Args:
        x_sign, y_sign: 1 where more is better, else -1.
    """
    ordered = sorted(points, key=lambda p: (-x_sign * p.x.mean, -y_sign * p.y.mean))
    front: list[Point] = []
    for point in ordered:
        equal = bool(front) and (point.x.mean, point.y.mean) == (front[-1].x.mean, front[-1].y.mean)
        if equal or not front or y_sign * point.y.mean > y_sign * front[-1].y.mean:
            front.append(point)
    return sorted(front, key=lambda point: point.x.mean)


def fronts(board: Leaderboard) -> list[Chart]:
    """Against knowledge, where it was measured, and against time."""
    kept = _front(board, lambda row: row.worst, 1.0, "knowledge kept, the worst probe (%)", 100.0, "knowledge kept")
    time = _front(board, lambda row: row.seconds, -1.0, "seconds of a trial", 1.0, "time")
    return [chart for chart in (kept, time) if chart is not None]


def _front(
    board: Leaderboard, get: Callable[[Row], Mean | None], x_sign: float, title: str, scale: float, what: str
) -> Chart | None:
    points = [Point(row, x, row.score) for row in board.ranked if (x := get(row)) is not None and row.score is not None]
    if len(points) < 2:
        return None
    front = front_of(points, x_sign, board.sign)
    on_front = {id(point) for point in front}
    rest = [point for point in points if id(point) not in on_front][:MOST_POINTS]
    drawn = len(rest) + len(front)
    more = f" The best {drawn:,} of {len(points):,} are drawn." if drawn < len(points) else ""
    headline, unit = board.question.headline, "%" if scale == 100 else "s"
    told = "; ".join(f"{board.name(p.row)} ({p.y.mean:.3f}, {scale * p.x.mean:.1f} {unit})" for p in front[:_NAMED])
    return Chart(
        f"{headline} against {what}",
        f"Validation {headline} against {what} of {drawn:,} settings. No other beats in both: {told}.",
        [_others(board, rest, scale, unit), _line(board, front, scale, unit)],
        {
            "xaxis": axis(title),
            "yaxis": axis(f"val {label(headline)}"),
            "hovermode": "closest",
            "showlegend": False,
            "margin": {"l": 16, "r": 16, "t": 16, "b": 16},
        },
        note=f"On the line: no other setting is at least as good in both. Numbers are ranks.{more}",
    )


def _others(board: Leaderboard, points: Sequence[Point], scale: float, unit: str) -> dict[str, Any]:
    return {
        **_dots(board, points, scale, unit),
        "mode": "markers",
        "marker": {"color": OTHER, "size": 7, "opacity": 0.75},
    }


def _line(board: Leaderboard, front: Sequence[Point], scale: float, unit: str) -> dict[str, Any]:
    few = len(front) <= _NAMED
    bars = {"type": "data", "thickness": 1, "width": 3, "color": LINES[0]}
    return {
        **_dots(board, front, scale, unit),
        "mode": "lines+markers+text" if few else "lines+markers",
        "text": [f"#{point.row.rank}" for point in front],
        "textposition": "top right",
        "cliponaxis": False,
        "marker": {"color": LINES[0], "size": 10},
        "line": {"color": LINES[0], "width": 1.5, "dash": "dot"},
        "error_x": {**bars, "array": [scale * (point.x.spread or 0) for point in front]},
        "error_y": {**bars, "array": [point.y.spread or 0 for point in front]},
    }


def _dots(board: Leaderboard, points: Sequence[Point], scale: float, unit: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [scale * point.x.mean for point in points],
        "y": [point.y.mean for point in points],
        "hovertext": [
            lines(f"#{p.row.rank} {label(board.name(p.row), 90)}", f"{p.y.mean:.3f}, {scale * p.x.mean:.1f} {unit}")
            for p in points
        ],
        "hoverinfo": "text",
    }
