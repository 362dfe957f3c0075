"""The leaderboard on a terminal, as wide as that is."""

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_lightning.leaderboard.certainty import told_state, verdict
from rag_lightning.leaderboard.columns import Column, columns_of
from rag_lightning.leaderboard.rows import Leaderboard, Row
from rag_lightning.report.text import shorten

_GAP = 2  # a blank, and what stands between columns
_REASONS = 5  # settings whose trials gave no score that are told, of each state


def print_leaderboard(board: Leaderboard, console: Console, rows: int = 20) -> None:
    """The best rows, what was left out, the trials without a score with their reasons, and how sure the best is."""
    best = board.ranked[:rows]
    if best:
        columns = columns_of(board)
        kept = fitting(columns, best, console.width)
        console.print(_table(board, kept, best))
        _print_note(console, len(board.ranked) - len(best), [c.title for c in columns if c not in kept])
    _print_lost(console, board)
    console.print(Text(f"\n{verdict(board)}"))


def fitting(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    """As many columns as ``width`` characters hold: the most important ones first."""
    kept: list[Column] = []
    for column in sorted(columns, key=lambda column: -column.importance):
        needed = max(cell_len(text) for text in (column.title, *map(column.cell, rows))) + _GAP
        if needed <= width or not kept:
            kept.append(column)
            width -= needed
    return [column for column in columns if column in kept]


def _table(board: Leaderboard, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(Text(column.title), justify="right" if column.numeric else "left", no_wrap=True)
    for row in rows:
        style = "bold green" if row is board.rows[0] else ""
        table.add_row(*(Text(column.cell(row)) for column in columns), style=style)
    return table


def _print_note(console: Console, rows: int, columns: Sequence[str]) -> None:
    left_out = [f"{rows:,} more row{'s' if rows > 1 else ''}"] if rows > 0 else []
    left_out += [f"no room for: {', '.join(columns)}"] if columns else []
    if left_out:
        console.print(Text(f"{'; '.join(left_out)}. leaderboard.csv has everything.", "dim"))


def _print_lost(console: Console, board: Leaderboard) -> None:
    for state in dict.fromkeys(lost.state for lost in board.lost):
        group = [lost for lost in board.lost if lost.state == state]
        console.print(Text(f"\n{told_state(state)}: {sum(len(lost.records) for lost in group):,}", "yellow"))
        for lost in group[:_REASONS]:
            told = f"{': ' if lost.reason else ''}{shorten(lost.reason, 300)}"
            console.print(Text(f"  {board.name(lost.row, lost.records)}{told}"))
        if len(group) > _REASONS:
            console.print(Text(f"  and those of {len(group) - _REASONS:,} more settings", "dim"))
