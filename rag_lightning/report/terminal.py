"""The result on a terminal (in colour) or in a log (plain)."""

import sys
from pathlib import Path

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

from rag_lightning.console import said_file
from rag_lightning.report.info import RunInfo, main_evaluation
from rag_lightning.report.knowledge import Knowledge
from rag_lightning.report.text import cell, count, duration
from rag_lightning.tasks.evaluation import Evaluation, Table

# What a run's folder may hold, in the order in which a reader wants it.
CONTENTS = (
    ("report.md", "scores, tables, pictures, mistakes"),
    ("metrics.json", "all scores, for programs"),
    ("predictions.jsonl", "every example with gold and predicted"),
    ("curves.png", "loss, score, learning rate, speed"),
    ("confusion.png", "gold against predicted"),
    ("kept.png", "what was kept of what the model knew"),
    ("probe.json", "the same, for programs"),
    ("history.jsonl", "every logged number"),
    ("config.yaml", "the whole configuration"),
    ("model", "the exported model, a Hugging Face folder"),
    ("checkpoints", "to go on from"),
)


def make_console() -> Console:
    """Standard output, or a sweep's log; in a pipe or file wide enough that no table is squeezed."""
    file = said_file()
    return Console(file=file, width=None if file is None and sys.stdout.isatty() else 120, highlight=False)


def print_evaluation(evaluation: Evaluation, console: Console | None = None) -> None:
    """The headline, every table and every note of one split."""
    console = console or make_console()
    score = evaluation.metrics.get(evaluation.headline)
    title = Text.assemble(("\n" + evaluation.split, "bold"))
    if score is not None:
        title.append(f"  {evaluation.headline} ")
        title.append(cell(float(score)), "bold green")
    console.print(title)
    for table in evaluation.tables:
        console.print(Text(f"\n{table.title}", "bold"))
        console.print(_table(table))
        if table.note:
            console.print(Text(table.note, "dim"))
    _print_notes(evaluation.notes, console)


def print_knowledge(knowledge: Knowledge, console: Console | None = None) -> None:
    """The table of what was kept, and every note on it."""
    console = console or make_console()
    one = knowledge.table()
    console.print(Text(f"\n{one.title}", "bold"))
    console.print(_table(one))
    console.print(Text(one.note, "dim"))
    _print_notes(list(knowledge.notes), console)


def print_closing(folder: Path, info: RunInfo, evaluations: list[Evaluation], console: Console | None = None) -> None:
    """A panel with the score and where everything lies, then the commands that use it, ready to be copied."""
    console = console or make_console()
    if info.knowledge is not None:
        print_knowledge(info.knowledge, console)
    content = Group(_summary(info, evaluations), Text(), _contents(folder))
    console.print(Panel(content, title=Text(_shown(folder), "bold"), box=box.ROUNDED, padding=(0, 1)))
    _print_notes(info.notes, console)
    for title, snippet in info.usage:
        console.print(Text(f"{title}:", "dim"))
        for line in snippet.splitlines():  # never wrapped, so that a copied line is the command
            console.print(Text(f"  {line}", "cyan"), soft_wrap=True)


def _table(table: Table) -> RichTable:
    rich = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1))
    for index, column in enumerate(table.columns):
        numbers = any(not isinstance(row[index], str) for row in table.rows if index < len(row))
        rich.add_column(Text(column), justify="right" if numbers else "left", no_wrap=numbers)
    for row in table.rows:
        rich.add_row(*(Text(cell(value), _style(value)) for value in row))
    return rich


def _style(value: str | int | float) -> str:
    if not isinstance(value, float):
        return ""
    return "green" if value >= 0.8 else "yellow" if value >= 0.5 else "red" if value >= 0 else "dim"


def _summary(info: RunInfo, evaluations: list[Evaluation]) -> Text:
    main = main_evaluation(evaluations)
    text = Text()
    if main is not None and main.headline in main.metrics:
        text.append(f"{main.split} {main.headline} ")
        text.append(cell(float(main.metrics[main.headline])), "bold green")
        text.append("   ")
    text.append(f"{info.task}, {info.model}, {info.data}")
    share = f"{count(info.n_trainable)} of {count(info.n_parameters)} parameters trained"
    time = f"   {duration(info.duration_s)}" if info.duration_s is not None else ""
    text.append(f"\n{share}{time}", "dim")
    return text


def _contents(folder: Path) -> RichTable:
    grid = RichTable.grid(padding=(0, 2))
    for name, meaning in CONTENTS:
        path = folder / name
        if path.exists():
            grid.add_row(Text(name + ("/" if path.is_dir() else ""), "cyan"), Text(meaning))
    return grid


def _shown(folder: Path) -> str:
    """Relative where that is shorter and inside the working folder."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(folder)


def _print_notes(notes: list[str], console: Console) -> None:
    for note in notes:
        console.print(Text.assemble(("note ", "yellow"), note))
