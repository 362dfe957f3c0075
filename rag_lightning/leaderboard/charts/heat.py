"""The mean score for each pair of swept keys, a map for each level of a third one."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

from rag_lightning.leaderboard.charts.chart import AREAS, INK, LINES, Chart, axis, label
from rag_lightning.leaderboard.levels import MISSING, Levels
from rag_lightning.leaderboard.rows import Leaderboard, Row, spread_of

MOST_KEYS = 4  # the most important ones
MOST_LEVELS = 15
MOST_FACETS = 4

Cells = dict[tuple[int, int], list[float]]


def heat_maps(board: Leaderboard, levels: Sequence[Levels]) -> tuple[list[list[Chart]], str]:
    """A list of maps for each pair of keys, and what was left out, in words.

    Args:
        levels: the most important key first.
    """
    fitting = [each for each in levels if 1 < len(each.labels) <= MOST_LEVELS]
    chosen = fitting[:MOST_KEYS]
    left_out = [each.name for each in levels if each not in chosen and len(each.labels) > 1]
    note = f"Not shown: {', '.join(left_out)} (the most important ones with at most {MOST_LEVELS} values are)."
    if len(chosen) == 1:
        return [[_single(board, chosen[0])]], note if left_out else ""
    maps = [_pair(board, a, b, [c for c in chosen if c not in (a, b)]) for a, b in combinations(chosen, 2)]
    return maps, note if left_out else ""


def _pair(board: Leaderboard, across: Levels, up: Levels, others: Sequence[Levels]) -> list[Chart]:
    facet = next((other for other in others if len(other.labels) <= MOST_FACETS), None)
    groups: dict[int, Cells] = defaultdict(lambda: defaultdict(list))
    for row in board.ranked:
        if row.score is not None:
            groups[_level(facet, row) if facet else 0][_level(across, row), _level(up, row)].append(row.score.mean)
    scores = [fmean(values) for cells in groups.values() for values in cells.values()]
    ends = (min(scores), max(scores))
    rest = len(board.keys) - (3 if facet else 2)
    return [_map(board, across, up, groups[level], ends, facet, level, rest) for level in sorted(groups)]


def _map(
    board: Leaderboard, across: Levels, up: Levels, cells: Cells, ends: tuple[float, float], facet: Levels | None,
    level: int, rest: int,
) -> Chart:  # fmt: skip
    z = [[_mean(cells.get((x, y), ())) for x in range(len(across.labels))] for y in range(len(up.labels))]
    texts = [["" if value is None else f"{value:.3f}" for value in line] for line in z]
    xs, ys = [label(text) for text in across.labels], [label(text) for text in up.labels]
    hover = [
        [
            f"{label(across.name)}={x}, {label(up.name)}={y}: {texts[j][i]} ({len(cells.get((i, j), ()))} settings)"
            for i, x in enumerate(xs)
        ]
        for j, y in enumerate(ys)
    ]
    trace = {
        "type": "heatmap", "x": xs, "y": ys, "z": z, "text": texts, "texttemplate": "%{text}", "hovertext": hover,
        "textfont": {"color": INK}, "hoverinfo": "text", "colorscale": AREAS,
        "zmin": ends[0], "zmax": ends[1], "showscale": False, "xgap": 2,
        "ygap": 2, "reversescale": board.question.lower_is_better,
    }  # fmt: skip
    where = f"{facet.name} = {facet.labels[level]}" if facet else f"{across.name} × {up.name}"
    sign = board.sign
    (x, y), values = max(cells.items(), key=lambda item: sign * (_mean(item[1]) or 0.0))
    best = f"{across.name}={across.labels[x]}, {up.name}={up.labels[y]} with {_mean(values):.3f}"
    mean = ", mean over the other swept keys" if rest > 0 else ""
    return Chart(
        where,
        f"Heat map of the validation {board.question.headline} over {across.name} and {up.name}"
        f"{f' at {where}' if facet else ''}{mean}. The best cell is {best}.",
        [trace],
        {
            "xaxis": axis(label(across.name), type="category", showgrid=False),
            "yaxis": axis(label(up.name), type="category", showgrid=False),
            "margin": {"l": 16, "r": 8, "t": 8, "b": 16},
        },
        height=110 + 44 * len(ys),
        least_width=60 + 56 * len(xs) + 7 * max(map(len, up.labels)),
    )


def _single(board: Leaderboard, levels: Levels) -> Chart:
    """With one swept key there is no pair: its mean score and spread over the values."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in board.ranked:
        if row.score is not None:
            found[_level(levels, row)] += row.score.values
    order = sorted(found)
    means, headline = [_mean(found[i]) or 0.0 for i in order], board.question.headline
    told = ", ".join(f"{levels.labels[i]}: {mean:.3f}" for i, mean in zip(order, means, strict=True))
    trace = {
        "type": "scatter", "mode": "lines+markers", "x": [label(levels.labels[i]) for i in order], "y": means,
        "error_y": {"type": "data", "array": [spread_of(found[i]) or 0.0 for i in order], "color": LINES[0]},
        "line": {"color": LINES[0], "width": 2}, "marker": {"size": 8},
        "hovertemplate": "%{x}: %{y:.3f}<extra></extra>",
    }  # fmt: skip
    layout = {"xaxis": axis(label(levels.name), type="category"), "yaxis": axis(f"val {label(headline)}")}
    return Chart(
        f"{headline} by {levels.name}", f"Mean validation {headline} by {levels.name}: {told}.", [trace], layout
    )


def _level(levels: Levels, row: Row) -> int:
    return levels.of[row.values.get(levels.key, MISSING)]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
