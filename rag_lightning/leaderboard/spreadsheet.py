"""``leaderboard.csv``: every row with every number."""

import csv
import io
from collections.abc import Iterator

from rag_lightning.leaderboard.names import SEED
from rag_lightning.leaderboard.rows import WORST, Leaderboard, Mean, Row, mean_of

# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(board: Leaderboard) -> str:
    """The leaderboard with a column for each setting that differs and for each metric.

    Two sweeps with the same results give the same text, but for the columns that end with ``seconds``: there are no
    times and folders in it.
    """
    metrics = list(dict.fromkeys(name for row in board.rows for r in row.finished for name in sorted(r.metrics)))
    swept = list(board.keys)
    headline = board.question.headline
    main = [f"validation/{headline}", f"test/{headline}", "probe/kept"]
    others = [name for name in metrics if name not in main]
    spreads = [name for column in main for name in (column, f"{column} spread")]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["rank", *swept, "state", "n", *spreads, "seeds", "scores", *others, "seconds", "runs", "reason"]
    )  # fmt: skip
    for row in board.rows:
        writer.writerow(list(_cells(row, swept, others)))
    return buffer.getvalue()


def _cells(row: Row, swept: list[str], others: list[str]) -> Iterator[str]:
    done = row.finished
    yield "" if row.rank is None else str(row.rank)
    yield from (_text(row.values.get(key, "")) for key in swept)
    yield row.state
    yield str(len(done))
    for mean in (row.score, row.test, row.kept.get(WORST)):
        yield _number(mean)
        yield "" if mean is None or mean.spread is None else repr(mean.spread)
    yield " ".join(record.values.get(SEED, "") for record in done)
    yield " ".join(repr(value) for value in row.score.values) if row.score else ""
    yield from (_number(mean_of(record.metrics.get(name) for record in done)) for name in others)
    yield "" if row.seconds is None else f"{row.seconds.mean:.3f}"
    yield " ".join(record.fingerprint or "" for record in done).strip()
    yield _text("; ".join(row.reasons))


def _number(mean: Mean | None) -> str:
    return "" if mean is None else repr(mean.mean)


def _text(value: str) -> str:
    """On one line, and never a formula; numbers stay numbers."""
    line = " ".join(value.split())
    if not line.startswith(_FORMULA):
        return line
    try:
        float(line)
    except ValueError:
        return f"'{line}"
    return line
