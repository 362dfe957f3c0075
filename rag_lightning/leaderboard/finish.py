"""The end of a sweep, or a look at it while it is running: leaderboard, leaderboard.csv, report.html."""

import sys
from pathlib import Path

from rich.console import Console

from rag_lightning.console import say
from rag_lightning.leaderboard.page import render_page
from rag_lightning.leaderboard.rows import Leaderboard, leaderboard
from rag_lightning.leaderboard.spreadsheet import csv_text
from rag_lightning.leaderboard.terminal import print_leaderboard
from rag_lightning.leaderboard.wandb_summary import log_summary
from rag_lightning.report.files import write_text
from rag_lightning.sweep.record import TRIALS, read_question, read_records

CSV, HTML = "leaderboard.csv", "report.html"
SHOWN = 20  # rows in the terminal


def finish_sweep(folder: Path) -> None:
    """Show and write what a sweep has found; where its trials log to W&B, log it there too.

    Raises:
        UserError: if there is no sweep in this folder.
    """
    board = report_sweep(folder)
    for sentence in log_summary(board, folder, [folder / CSV, folder / HTML]):
        say(sentence)


def report_sweep(folder: Path, rows: int = SHOWN) -> Leaderboard:
    """Print the leaderboard, and write leaderboard.csv and report.html into the sweep's folder.

    The sweep may still be running: records are whole files, and those that come later are in the next report.

    Raises:
        UserError: if there is no sweep in this folder.
    """
    question = read_question(folder)
    written = sum(1 for _ in (folder / TRIALS).glob("*.json"))
    records = read_records(folder)
    board = leaderboard(question, records)
    console = _console()
    print_leaderboard(board, console, rows)
    if (damaged := written - len(records)) > 0:
        told = "of another version of rag_lightning, or damaged, and count as not begun"
        console.print(f"note {damaged:,} of {written:,} records in {folder / TRIALS} are {told}.", soft_wrap=True)
    write_text(folder / CSV, csv_text(board))
    write_text(folder / HTML, render_page(board))
    console.print(f"\n{folder / CSV}\n{folder / HTML}", markup=False, soft_wrap=True)
    return board


def _console() -> Console:
    """As wide as the terminal; in a pipe or a file wide enough for every column that people read."""
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)
