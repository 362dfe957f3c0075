"""The columns that a reader is shown, the most important ones first."""

from collections.abc import Callable
from dataclasses import dataclass

from rag_lightning.leaderboard.certainty import plus_minus
from rag_lightning.leaderboard.names import as_number, shown
from rag_lightning.leaderboard.rows import Leaderboard, Mean, Row
from rag_lightning.report.text import duration


@dataclass(frozen=True)
class Column:
    """A column of the leaderboard.

    Attributes:
        cell: a row's text; ``sort`` a number to sort by, None where there is none.
        importance: where there is no room, the columns with the smallest go first.
        numeric: aligned to the right.
    """

    title: str
    cell: Callable[[Row], str]
    sort: Callable[[Row], float | None]
    importance: int
    numeric: bool = True


def columns_of(board: Leaderboard) -> list[Column]:
    """Rank, score, what differs, test score, knowledge kept, time, number of seeds; only what is known of some row."""
    ranked, headline = board.ranked, board.question.headline
    columns = [Column("#", lambda row: str(row.rank or "–"), lambda row: row.rank, 100)]
    columns.append(_mean(f"val {headline}", lambda row: row.score, 99))
    columns += [_setting(key, name, 90 - i) for i, (key, name) in enumerate(board.keys.items())]
    if any(row.test for row in ranked):
        columns.append(_mean(f"test {headline}", lambda row: row.test, 70))
    if any(row.worst for row in ranked):
        columns.append(_mean("kept", lambda row: row.worst, 65, percent=True))
    if board.seeds or any(len(row.records) > len(row.finished) for row in ranked):
        columns.append(Column("n", count_of, lambda row: len(row.finished), 50))
    columns.append(
        Column(
            "time",
            lambda row: duration(row.seconds.mean) if row.seconds else "–",
            lambda row: row.seconds.mean if row.seconds else None,
            60,
        )
    )
    columns += [_probe(probe, 40 - i) for i, probe in enumerate(board.probes)]
    return columns


def count_of(row: Row) -> str:
    """How many trials a row is the mean of, and of how many."""
    done, all_of_them = len(row.finished), len(row.records)
    return str(done) if done == all_of_them else f"{done} of {all_of_them}"


def _setting(key: str, name: str, importance: int) -> Column:
    def number(row: Row) -> float | None:
        return as_number(row.values.get(key, ""))

    return Column(name, lambda row: shown(row.values.get(key, "–")), number, importance, numeric=False)


def _mean(title: str, get: Callable[[Row], Mean | None], importance: int, *, percent: bool = False) -> Column:
    def number(row: Row) -> float | None:
        mean = get(row)
        return mean.mean if mean else None

    def told(row: Row) -> str:
        mean = get(row)
        if mean is not None and percent:  # without the spread, which is small: there are many of these columns
            return f"{100 * mean.mean:.1f} %"
        return plus_minus(mean)

    return Column(title, told, number, importance)


def _probe(probe: str, importance: int) -> Column:
    return _mean(probe, lambda row: row.kept.get(probe), importance, percent=True)
