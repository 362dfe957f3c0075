"""``report.html``: one file that needs nothing else, no network either."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from rag_lightning.config.overrides import shell_command
from rag_lightning.leaderboard.certainty import told_state, verdict
from rag_lightning.leaderboard.charts.bars import bars
from rag_lightning.leaderboard.charts.chart import Chart
from rag_lightning.leaderboard.charts.fronts import fronts
from rag_lightning.leaderboard.charts.heat import heat_maps
from rag_lightning.leaderboard.charts.learning import learning
from rag_lightning.leaderboard.charts.parallel import parallel
from rag_lightning.leaderboard.columns import Column, columns_of
from rag_lightning.leaderboard.importance import importance
from rag_lightning.leaderboard.levels import levels_of
from rag_lightning.leaderboard.rows import Leaderboard, Row
from rag_lightning.report.text import shorten

MOST_ROWS = 500
MOST_LOST = 200
# Nothing may be fetched, whatever stands in the page; plotly's parallel coordinates compile their shaders.
_POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: HTML, and groups of charts with a heading each."""

    anchor: str
    title: str
    intro: str = ""
    html: str = ""
    groups: tuple[tuple[str, tuple[Chart, ...]], ...] = ()
    wide: bool = False


def render_page(board: Leaderboard) -> str:
    """The whole page, as text."""
    sections = [section for section in _sections(board) if section.html or section.groups or section.intro]
    figures: list[dict[str, Any]] = []
    body = "\n".join(_section(section, figures) for section in sections)
    links = "".join(f'<li><a href="#{s.anchor}">{escape(s.title)}</a></li>' for s in sections)
    name = escape(board.question.name)
    # "<" would end the script in which the figures stand.
    data = json.dumps(figures, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{name}: a sweep</title>
<style>
{_resource("page.css")}</style>
</head>
<body>
<main>
<header>
<h1>{name}</h1>
<p class="note">{escape(board.question.task)}; asked: {escape(_asked(board))}</p>
{_answer(board)}
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
{body}
</main>
<script type="application/json" id="figures">{data}</script>
<script>{_plotly()}</script>
<script>
{_resource("page.js")}</script>
</body>
</html>
"""


def best_command(board: Leaderboard) -> str | None:
    """The command that does the best trial again; None where none has a score."""
    if not board.ranked:
        return None
    return shell_command("rag_lightning.train", list(board.ranked[0].finished[0].overrides))


def _sections(board: Leaderboard) -> Iterator[Section]:
    yield Section("leaderboard", "Leaderboard", _left_out(board), _table(board))
    if command := best_command(board):
        yield Section("again", "The best one again", html=_command(board, command))
    levels, found = levels_of(board), importance(board)
    order = list(found.shares)
    levels.sort(key=lambda each: order.index(each.name) if each.name in order else len(order))
    if (chart := parallel(board, levels)) is not None:
        yield Section("parallel", "All settings at once", groups=(("", (chart,)),), wide=True)
    if levels and len(board.ranked) > 1:
        maps, note = heat_maps(board, levels)
        mean = f"The mean validation {board.question.headline} of the settings in each cell."
        groups = tuple((_pair_title(charts), tuple(charts)) for charts in maps if charts)
        yield Section("pairs", "Pair by pair", f"{mean} {note}", groups=groups)
    charts, note = learning(board)
    if charts:
        yield Section("curves", "Learning curves", note, groups=(("", tuple(charts)),), wide=True)
    if pareto := fronts(board):
        yield Section("fronts", "What the score costs", groups=(("", tuple(pareto)),), wide=True)
    if board.keys and board.ranked:
        chart = bars(found, board.question.headline)
        intro = found.note if chart is None else ""
        groups = (("", (chart,)),) if chart else ()
        yield Section("importance", "What matters", intro, groups=groups, wide=True)
    if board.lost:
        yield Section("lost", "Without a score", html=_lost(board))


def _pair_title(charts: Sequence[Chart]) -> str:
    return "" if len(charts) == 1 else charts[0].alt.partition(" over ")[2].partition(" at ")[0]


def _section(section: Section, figures: list[dict[str, Any]]) -> str:
    intro = f'<p class="note">{escape(section.intro)}</p>' if section.intro.strip() else ""
    charts = "".join(_group(title, group, figures, section.wide) for title, group in section.groups)
    return (
        f'<section aria-labelledby="{section.anchor}"><h2 id="{section.anchor}">{escape(section.title)}</h2>'
        f"{intro}{section.html}{charts}</section>"
    )


def _group(title: str, charts: Sequence[Chart], figures: list[dict[str, Any]], wide: bool) -> str:
    drawn = "".join(_figure(chart, figures) for chart in charts)
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    least = max(480 if wide else 280, *(chart.least_width for chart in charts))
    return f'{heading}<div class="charts" style="--least:{least}px">{drawn}</div>'


def _figure(chart: Chart, figures: list[dict[str, Any]]) -> str:
    figures.append(chart.figure())
    title = f"<figcaption>{escape(chart.title)}</figcaption>" if chart.title else ""
    note = f'<p class="note">{escape(chart.note)}</p>' if chart.note else ""
    # What scrolls must be reached by the keyboard too.
    reached = f' tabindex="0" role="group" aria-label="{escape(chart.title or "Chart")}"' if chart.least_width else ""
    style = f"height:{chart.height}px" + (f";min-width:{chart.least_width}px" if chart.least_width else "")
    return (
        f'<figure>{title}<div class="scroll"{reached}>'
        f'<div class="chart" role="img" aria-label="{escape(chart.alt)}" style="{style}" '
        f'data-figure="{len(figures) - 1}"></div></div>{note}</figure>'
    )


def _answer(board: Leaderboard) -> str:
    said = verdict(board)
    return (
        f'<div class="answer"><p>{escape(said.counts)}</p><p class="best">{_unbroken(escape(said.best))}</p>'
        f"<p>{escape(said.sure)}</p></div>"
    )


def _unbroken(text: str) -> str:
    """A mean stays on a line with its spread."""
    return text.replace(" ± ", "\u00a0±\u00a0")


def _asked(board: Leaderboard) -> str:
    return "; ".join(f"{key}={value}" for key, value in board.question.swept.items())


def _left_out(board: Leaderboard) -> str:
    if len(board.ranked) <= MOST_ROWS:
        return ""
    return f"The best {MOST_ROWS:,} of {len(board.ranked):,} settings; leaderboard.csv has all."


def _table(board: Leaderboard) -> str:
    rows = board.ranked[:MOST_ROWS]
    if not rows:
        return ""
    columns = columns_of(board)
    head = "".join(_head(column, rows) for column in columns)
    body = "\n".join(_row(row, columns, first=row is rows[0]) for row in rows)
    return (
        '<div class="scroll table" tabindex="0" role="region" aria-label="Leaderboard">'
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _head(column: Column, rows: Sequence[Row]) -> str:
    numbers = ' data-numbers="1"' if any(column.sort(row) is not None for row in rows) else ""
    kind = ' class="number"' if column.numeric else ""
    return f'<th scope="col"{kind}{numbers}><button type="button">{escape(column.title)}</button></th>'


def _row(row: Row, columns: Sequence[Column], *, first: bool) -> str:
    cells = []
    for column in columns:
        number = column.sort(row)
        value = "" if number is None else f' data-value="{number!r}"'
        kind = ' class="number"' if column.numeric else ""
        cells.append(f"<td{kind}{value}>{escape(column.cell(row))}</td>")
    kind = ' class="first"' if first else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"


def _command(board: Leaderboard, command: str) -> str:
    best = board.ranked[0]
    folder = best.finished[0].folder
    where = f" Its model and report lie in {folder}." if folder else ""
    seeds = f" This is seed {best.finished[0].values.get('seed')} of {len(best.finished)}." if board.seeds else ""
    told = f"The same command finds what is done; force=true at its end trains anew.{seeds}{where}"
    return (
        f'<div class="command"><pre id="command" tabindex="0">{escape(command)}</pre>'
        f'<button type="button" class="copy" data-copies="command">Copy</button></div>'
        f'<p class="note">{escape(told)}</p>'
    )


def _lost(board: Leaderboard) -> str:
    shown = board.lost[:MOST_LOST]
    rows = "\n".join(
        f'<tr><td class="state">{escape(told_state(lost.state))}</td>'
        f"<td>{escape(board.name(lost.row, lost.records))}</td>"
        f'<td class="reason">{escape(shorten(lost.reason, 600))}</td></tr>'
        for lost in shown
    )
    more = f'<p class="note">{len(shown):,} of {len(board.lost):,}; leaderboard.csv has all.</p>'
    head = "".join(f'<th scope="col"><span>{name}</span></th>' for name in ("state", "trial", "reason"))
    return (
        '<div class="scroll table" tabindex="0" role="region" aria-label="Trials without a score">'
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
        f"{more if len(shown) < len(board.lost) else ''}"
    )


def _resource(name: str) -> str:
    return (files("rag_lightning.leaderboard") / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
