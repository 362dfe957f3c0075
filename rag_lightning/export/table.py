"""The formats of a run side by side."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from rag_lightning.export.checking import Difference


@dataclass(frozen=True)
class Row:
    """A format: bytes on disk, examples answered in a second, difference from the original."""

    name: str
    size: int
    speed: float | None = None
    difference: Difference | None = None


def show(rows: list[Row], console: Console) -> None:
    """Print the table; speeds are of this machine, with as many threads as torch takes."""
    table = Table("format", box=None, pad_edge=False)
    metric = next((row.difference.metric for row in rows if row.difference), "metric")
    for name in ("MB", "texts/s", "largest logit difference", metric, "same answers"):
        table.add_column(name, justify="right")
    for row in rows:
        found = row.difference
        shown = (f"{found.logits:.1e}", f"{found.theirs:.4f}", f"{found.answers:.1%}") if found else ("", "", "")
        speed = "" if row.speed is None else f"{row.speed:,.0f}"
        table.add_row(row.name, f"{row.size / 1e6:,.1f}", speed, *shown)
    console.print(table)
