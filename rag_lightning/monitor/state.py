"""The monitor's folder: messages, charts, alerts and the position in the source, in one SQLite file.

All that a batch of lines changes is written in one transaction, so that a kill at any moment leaves either all of it or
nothing: no message is lost, and none is counted twice.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rag_lightning.errors import UserError
from rag_lightning.monitor.charts import Chart
from rag_lightning.monitor.lines import Refused
from rag_lightning.monitor.source import Position

STATE = "monitor.sqlite"
_CHART = ", ".join(field.name for field in fields(Chart))
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS positions (source TEXT PRIMARY KEY, offset INTEGER, identity TEXT, guard TEXT);
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, time REAL NOT NULL, topic TEXT NOT NULL, label TEXT NOT NULL,
    confidence REAL NOT NULL, text TEXT NOT NULL, score INTEGER
);
CREATE INDEX IF NOT EXISTS by_time ON messages (time);
CREATE TABLE IF NOT EXISTS refused (number INTEGER PRIMARY KEY, time REAL, reason TEXT, line TEXT);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS charts (topic TEXT PRIMARY KEY, {_CHART});
CREATE TABLE IF NOT EXISTS alerts (number INTEGER PRIMARY KEY, record TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A judged message.

    Attributes:
        number: 1 for the first one of the folder.
        score: of its topic's chart after it; None while the chart learns.
    """

    number: int
    id: str | None
    time: float
    topic: str
    label: str
    confidence: float
    text: str
    score: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What some lines of the source come to.

    Attributes:
        charts: the new state of each topic that they touched.
        repeated, blank: lines that were passed over.
    """

    messages: Sequence[Stored]
    refused: Sequence[Refused]
    charts: dict[str, Chart]
    alerts: Sequence[dict[str, Any]]
    repeated: int = 0
    blank: int = 0


class State:
    """The open file; one process writes, others may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.connection = sqlite3.connect(folder / STATE, isolation_level=None)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"the monitor's state cannot be read ({error})",
                where=str(folder / STATE),
                remedy="Choose another folder, or move this file away to begin anew.",
            ) from None

    def close(self) -> None:
        self.connection.close()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, values).fetchall()

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT coalesce(max(number), 0) FROM {table}")[0][0])

    def counted(self, name: str) -> int:
        found = self.rows("SELECT value FROM counts WHERE name = ?", name)
        return int(found[0][0]) if found else 0

    def position(self, source: str) -> Position | None:
        found = self.rows("SELECT offset, identity, guard FROM positions WHERE source = ?", source)
        return Position(*found[0]) if found else None

    def charts(self) -> dict[str, Chart]:
        rows = self.rows(f"SELECT topic, {_CHART} FROM charts ORDER BY topic")
        return {
            topic: Chart(messages, negative, usual, score, bool(surging), *since)
            for topic, messages, negative, usual, score, surging, *since in rows
        }

    def alerts(self, after: int = 0) -> list[dict[str, Any]]:
        rows = self.rows("SELECT record FROM alerts WHERE number > ? ORDER BY number", after)
        return [json.loads(record) for (record,) in rows]

    def refused(self, after: int = 0) -> list[dict[str, Any]]:
        rows = self.rows("SELECT number, time, reason, line FROM refused WHERE number > ? ORDER BY number", after)
        return [dict(zip(("number", "time", "reason", "line"), row, strict=True)) for row in rows]

    def known_ids(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that a message has."""
        return {name for name in ids if self.rows("SELECT 1 FROM messages WHERE id = ?", name)}

    def settings(self) -> dict[str, Any]:
        return {name: json.loads(value) for name, value in self.rows("SELECT name, value FROM settings")}

    def keep_settings(self, settings: dict[str, Any]) -> None:
        """Remember by what the messages are judged.

        Raises:
            UserError: if those of the folder were judged by something else.
        """
        before = self.settings()
        changed = [name for name, value in settings.items() if name in before and before[name] != value]
        if changed and self.count("messages"):
            raise UserError(
                f"the messages in this folder were judged with another {' and '.join(changed)}",
                where=str(self.folder),
                remedy="Choose a new folder=…, or the settings of before.",
            )
        rows = [(name, json.dumps(value)) for name, value in settings.items()]
        with self._transaction():
            self.connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", rows)

    def commit(self, batch: Batch, source: str, position: Position | None, now: float) -> None:
        """Write a batch and the position behind its lines: all or nothing."""
        after, told = self.count("refused"), self.count("alerts")
        marks = ", ".join("?" for _ in fields(Chart))
        with self._transaction():
            run = self.connection.executemany
            run("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [astuple(each) for each in batch.messages])
            refused = [(after + i, now, each.reason, each.line) for i, each in enumerate(batch.refused, 1)]
            run("INSERT INTO refused VALUES (?, ?, ?, ?)", refused)
            charts = [(topic, *asdict(chart).values()) for topic, chart in batch.charts.items()]
            run(f"INSERT OR REPLACE INTO charts VALUES (?, {marks})", charts)
            alerts = [{"number": told + i, **each} for i, each in enumerate(batch.alerts, 1)]
            run("INSERT INTO alerts VALUES (?, ?)", [(a["number"], json.dumps(a, ensure_ascii=False)) for a in alerts])
            counts = [(name, value) for name, value in (("repeated", batch.repeated), ("blank", batch.blank)) if value]
            run(
                "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                counts,
            )
            if position is not None:
                run("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", [(source, *astuple(position))])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # a full disk has ended it already
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise UserError(
                f"the monitor's state cannot be written ({error})",
                where=str(self.folder / STATE),
                remedy="Make room, then give the command again: it goes on where it was.",
            ) from None


@contextmanager
def opened(folder: Path, *, writing: bool = True) -> Iterator[State]:
    """The state in a folder, which is made if need be.

    Args:
        writing: keep a second monitor out.

    Raises:
        UserError: if another monitor is at work there, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder cannot be made ({error.strerror})", where=str(folder)) from None
    lock = FileLock(str(folder / ".lock"))
    if writing:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                "another monitor is at work in this folder", where=str(folder), remedy="Choose another folder=…."
            ) from None
    try:
        with closing(State(folder)) as state:
            yield state
    finally:
        lock.release()
