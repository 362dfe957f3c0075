"""A run's ``history.jsonl``: one JSON object a step, ``{"step": int, "epoch": float, metric: value}``."""

import json
import math
from pathlib import Path
from typing import Any

Row = dict[str, float]


def read_history(path: Path) -> list[Row]:
    """The rows in the order of their steps; a last line that a crash cut off is left out, null becomes NaN.

    Raises:
        ValueError: for a damaged line that is not the last.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: dict[int, Row] = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = _row(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}:{number}: not a row of a history") from error
        rows.setdefault(int(row["step"]), {}).update(row)
    return [rows[step] for step in sorted(rows)]


def series(rows: list[Row], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of the rows that hold ``name``."""
    found = [(row["step"], row[name]) for row in rows if name in row]
    return [step for step, _ in found], [value for _, value in found]


def _row(values: dict[str, Any]) -> Row:
    row = {key: math.nan if value is None else float(value) for key, value in values.items()}
    row["step"] = int(values["step"])
    return row
