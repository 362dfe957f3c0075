"""The rows of a leaderboard: trials that differ in nothing but the seed are one."""

import json
import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from rag_lightning.leaderboard.names import SEED, by_nature, short_names, tell, varying
from rag_lightning.sweep.record import Question, Record

# The order of the rows without a score: what may still come first, then what will not.
UNRANKED = ("running", "waiting", "stopped", "hopeless", "failed", "refused", "finished")
_OPEN = ("running", "waiting")
WORST = "kept"
_KEPT = re.compile(r"probe/(?!.*layer/\d)(.+)/kept")


@dataclass(frozen=True)
class Mean:
    """A number over seeds: its mean, and its standard deviation (None with one value)."""

    mean: float
    spread: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """Trials that differ in nothing but the seed.

    Attributes:
        values: of the swept keys without the seed, as typed.
        records: in the order of their seeds; ``finished`` of them count.
        rank: from 1; None without a score. Equal scores have equal ranks.
        score, test: the headline on validation, which ranks, and on the test split.
        kept: the share of knowledge kept by each probe, and the worst as ``kept``.
        seconds: of a trial.
    """

    values: Mapping[str, str]
    records: tuple[Record, ...]
    state: str
    rank: int | None = None
    score: Mean | None = None
    test: Mean | None = None
    kept: Mapping[str, Mean] = field(default_factory=dict)
    seconds: Mean | None = None

    @property
    def finished(self) -> tuple[Record, ...]:
        return tuple(record for record in self.records if _counts(record))

    @property
    def worst(self) -> Mean | None:
        """The least share of knowledge that was kept."""
        return self.kept.get(WORST)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why trials of this row are no success, each reason once."""
        return tuple(dict.fromkeys(why(record) for record in self.records if why(record) and not _counts(record)))


@dataclass(frozen=True)
class Lost:
    """Trials of a row that ended without a score in the same way."""

    row: Row
    state: str
    reason: str
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Leaderboard:
    """All that a sweep has found so far.

    Attributes:
        rows: the best first, those without a score at the end.
        keys: dotted keys that differ between the rows -> the short names that tables show.
        probes: of knowledge, in the order of the metrics; ``kept`` is not among them.
        states: trials in each state; those that were asked for and have no record yet are waiting.
        seeds: whether there is more than one.
    """

    question: Question
    rows: tuple[Row, ...]
    keys: Mapping[str, str]
    probes: tuple[str, ...]
    states: Mapping[str, int]
    seeds: bool

    @property
    def ranked(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.rank is not None)

    @cached_property
    def lost(self) -> tuple[Lost, ...]:
        """Trials that will give no score, also of rows that have one: stopped, hopeless, failed, refused."""
        groups: dict[tuple[int, str, str], list[Record]] = defaultdict(list)
        for place, row in enumerate(self.rows):
            for record in row.records:
                if record.state not in _OPEN and not _counts(record):
                    groups[place, record.state, why(record)].append(record)
        found = (Lost(self.rows[p], state, reason, tuple(r)) for (p, state, reason), r in groups.items())
        return tuple(sorted(found, key=lambda lost: UNRANKED.index(lost.state)))

    @property
    def sign(self) -> float:
        """1 where a higher score is better, else -1."""
        return -1.0 if self.question.lower_is_better else 1.0

    def name(self, row: Row, records: Sequence[Record] = ()) -> str:
        """What tells a row from the others, and some of its trials from its other seeds."""
        seeds = ",".join(record.values.get(SEED, "") for record in records) if self.seeds else ""
        told = tell({**row.values, **({SEED: seeds} if seeds else {})}, {**self.keys, SEED: SEED})
        return told or "the only setting"


def leaderboard(question: Question, records: Sequence[Record]) -> Leaderboard:
    """Group trials over seeds and rank them by the mean of their validation headline.

    The order depends on scores and settings alone, not on which trial ended first.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Record]] = defaultdict(list)
    for record in records:
        groups[tuple((k, v) for k, v in sorted(record.values.items()) if k != SEED)].append(record)
    probes = knowledge_probes(records)
    rows = [_row(dict(values), group, question.headline, probes) for values, group in groups.items()]
    differing = varying([row.values for row in rows])
    keys = [
        *(key for key in question.swept if key in differing),
        *(key for key in differing if key not in question.swept),
    ]
    states: Counter[str] = Counter(record.state for record in records)
    if (missing := question.total - len(records)) > 0:
        states["waiting"] += missing
    return Leaderboard(
        question, _ranked(rows, keys, -1.0 if question.lower_is_better else 1.0), short_names(keys), probes,
        {state: states[state] for state in reversed(UNRANKED) if states[state]},
        len({record.values[SEED] for record in records if SEED in record.values}) > 1,
    )  # fmt: skip


def _row(values: dict[str, str], group: Iterable[Record], headline: str, probes: Sequence[str]) -> Row:
    records = tuple(sorted(group, key=lambda r: (by_nature(r.values.get(SEED, "")), r.number)))
    row = Row(values, records, min((record.state for record in records), key=UNRANKED.index))
    done = row.finished
    if not done:
        return row
    names = {WORST: "probe/kept", **{probe: f"probe/{probe}/kept" for probe in probes}}
    kept = {name: mean_of(r.metrics.get(metric) for r in done) for name, metric in names.items()}
    return replace(
        row,
        state="finished",
        score=mean_of(record.score for record in done),
        test=mean_of(record.metrics.get(f"test/{headline}") for record in done),
        kept={name: mean for name, mean in kept.items() if mean is not None},
        seconds=mean_of(record.seconds for record in done),
    )


def why(record: Record) -> str:
    """Why a trial gave no score."""
    return record.reason or ("no score on validation" if record.state == "finished" else "")


def _counts(record: Record) -> bool:
    return record.state == "finished" and record.score is not None and math.isfinite(record.score)


def _ranked(rows: Sequence[Row], keys: Sequence[str], sign: float) -> tuple[Row, ...]:
    def settings(row: Row) -> tuple[tuple[int, float, str], ...]:
        return tuple(by_nature(row.values.get(key, "")) for key in keys)

    good = [row for row in rows if row.score is not None]
    good.sort(key=lambda row: (-sign * row.score.mean if row.score else 0.0, settings(row)))
    ordered: list[Row] = []
    for place, row in enumerate(good, start=1):
        before = ordered[-1] if ordered else None
        same = before is not None and before.score and row.score and before.score.mean == row.score.mean
        ordered.append(replace(row, rank=before.rank if before is not None and same else place))
    rest = [row for row in rows if row.score is None]
    rest.sort(key=lambda row: (UNRANKED.index(row.state), settings(row)))
    return (*ordered, *rest)


def mean_of(values: Iterable[float | None]) -> Mean | None:
    """Mean and spread of the values that are numbers; None where there is none."""
    numbers = tuple(float(value) for value in values if value is not None and math.isfinite(value))
    if not numbers:
        return None
    return Mean(math.fsum(numbers) / len(numbers), spread_of(numbers), numbers)


def spread_of(numbers: Sequence[float]) -> float | None:
    """Standard deviation; None with one value."""
    return statistics.stdev(numbers) if len(numbers) > 1 else None


def knowledge_probes(records: Sequence[Record]) -> tuple[str, ...]:
    """The measures of knowledge, as ``similarity/spearman``: drift, say, is measured too, but is none.

    Which are so is read in a run's ``probe.json``; where no run's folder is left, all are taken.
    """
    found: dict[str, None] = {}
    measured: dict[str, bool] = {}
    for record in records:
        names = [match[1] for name in record.metrics if (match := _KEPT.fullmatch(name))]
        if record.folder and any(name not in measured for name in names):
            measured.update(_probe_file(Path(record.folder)))
        found.update(dict.fromkeys(names))
    return tuple(name for name in found if measured.get(name, True))


def _probe_file(folder: Path) -> dict[str, bool]:
    try:
        rows = json.loads((folder / "probe.json").read_text(encoding="utf-8"))["rows"]
        return {f"{row['probe']}/{row['metric']}": bool(row["counts"]) for row in rows}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
