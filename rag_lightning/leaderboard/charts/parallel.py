"""Parallel coordinates: every setting is a line over the swept keys, what was kept, the time and the score."""

import math
from collections.abc import Sequence
from typing import Any

from rag_lightning.leaderboard.charts.chart import INK, MUTED, THREADS, Chart, label
from rag_lightning.leaderboard.levels import MISSING, MOST_LEVELS, Levels
from rag_lightning.leaderboard.rows import Leaderboard, Row

MOST_ROWS = 2000
_ROOM = 120  # pixels for an axis
_TICKS = 5


def parallel(board: Leaderboard, levels: Sequence[Levels]) -> Chart | None:
    """None where there is nothing to compare."""
    rows = board.ranked[:MOST_ROWS]
    if len(rows) < 2 or not levels:
        return None
    headline = board.question.headline
    scores = [row.score.mean if row.score else math.nan for row in rows][::-1]  # the best on top
    dimensions = [_setting(each, rows[::-1]) for each in levels]
    if all(row.worst for row in rows):
        kept = [100 * row.worst.mean if row.worst else math.nan for row in rows][::-1]
        dimensions.append({"label": "kept, %", "values": kept, "tickformat": ".1f"})
    seconds = [row.seconds.mean if row.seconds else 0.0 for row in rows][::-1]
    dimensions.append({"label": "seconds", "values": seconds, "tickformat": ",.1f" if max(seconds) < 100 else ",.0f"})
    dimensions.append({"label": f"val {label(headline)}", "values": scores, "tickformat": ".3f"})
    line = {
        "color": scores, "colorscale": THREADS, "cmin": min(scores), "cmax": max(scores),
        "reversescale": board.question.lower_is_better,
    }  # fmt: skip
    trace = {
        "type": "parcoords", "dimensions": dimensions, "line": line, "labelfont": {"color": INK, "size": 13},
        "tickfont": {"color": INK, "size": 11}, "rangefont": {"color": MUTED, "size": 10}, "labelangle": 0,
        "unselected": {"line": {"opacity": 0.06}},
    }  # fmt: skip
    left_out = len(board.ranked) - len(rows)
    more = (
        f" Only the best {len(rows):,} of {len(board.ranked):,} are drawn; leaderboard.csv has all." if left_out else ""
    )
    best = rows[0]
    return Chart(
        "",
        f"Parallel coordinates of {len(rows):,} settings over {', '.join(each.name for each in levels)}, time and "
        f"{headline}. The best line is {board.name(best)}. The leaderboard has the same numbers.",
        [trace],
        {"margin": {"l": 56, "r": 56, "t": 56, "b": 24}},
        height=380,
        least_width=_ROOM * len(dimensions) + 60,
        note="Drag along an axis to keep only the lines that pass there; double-click it to see all again. "
        f"The stronger the colour, the better the score.{more}",
    )


def _setting(levels: Levels, rows: Sequence[Row]) -> dict[str, Any]:
    values = [row.values.get(levels.key, MISSING) for row in rows]
    positions = [levels.position(value) for value in values]
    dimension: dict[str, Any] = {"label": label(levels.name, 20), "values": positions}
    distinct = dict(sorted({levels.position(value): value for value in values}.items()))
    if len(distinct) <= MOST_LEVELS or levels.numbers is None:
        texts = [levels.labels[levels.of[value]] for value in distinct.values()]
        return {**dimension, "tickvals": list(distinct), "ticktext": texts}  # plotly reads no HTML in these
    if levels.logarithmic:
        low, high = min(positions), max(positions)
        ticks = [low + (high - low) * i / _TICKS for i in range(_TICKS + 1)]
        return {**dimension, "tickvals": ticks, "ticktext": [f"{10**tick:.2g}" for tick in ticks]}
    return {**dimension, "tickformat": ".3~g"}
