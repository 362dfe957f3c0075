"""What a sweep tells its workers, through its folder: the trials, and what holds for all of them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rag_lightning.errors import UserError
from rag_lightning.report.files import write_json, write_jsonl
from rag_lightning.sweep.question import Trial
from rag_lightning.sweep.record import Record

ORDER, WAITING, STOP, LOGS = "order.json", "waiting.jsonl", "stop", "workers"


@dataclass(frozen=True)
class Order:
    """What holds for all trials of a sweep.

    Attributes:
        name: of the sweep, by which dashboards group the runs.
        total: trials that were asked for.
        folder: of the sweep; ``cwd``: where relative paths begin.
        origin: what results hang on beside settings and inputs (:func:`rag_lightning.sweep.known.origin_of`).
        force: do again what is finished; ``stop`` and the settings after it: of the configuration's ``sweep``.
        search: how an optuna search is asked; None for a list of trials.
        twins: fingerprints of runs that several of the waiting trials are.
    """

    name: str
    total: int
    folder: str
    cwd: str
    origin: str
    force: bool
    tries: int
    stop: str
    stop_after: int
    stop_from: float
    stop_factor: int
    search: dict[str, Any] | None = None
    twins: Sequence[str] = ()

    @property
    def path(self) -> Path:
        return Path(self.folder)


def write_order(order: Order, trials: Sequence[Trial]) -> None:
    """Lay the order and the waiting trials into the sweep's folder."""
    write_jsonl(order.path / WAITING, (asdict(trial) for trial in trials))
    write_json(order.path / ORDER, asdict(order))


def read_order(folder: Path) -> Order:
    """What :func:`write_order` wrote.

    Raises:
        UserError: if this machine does not see the sweep's folder.
    """
    try:
        return Order(**json.loads((folder / ORDER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        remedy = "All machines of a sweep need one shared file system; set output_dir to a folder on it."
        raise UserError(
            f"a worker cannot read the sweep's folder ({error})", where=str(folder), remedy=remedy
        ) from None


def read_waiting(folder: Path) -> list[Trial]:
    """The trials that were waiting when the workers were sent."""
    lines = (folder / WAITING).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Trial(row["number"], tuple(row["overrides"]), row["values"]) for row in rows]


@contextmanager
def claimed(folder: Path, name: str, timeout: float = 0.0) -> Iterator[bool]:
    """Whether this process alone has a trial now; the claim goes with the process, also when it is killed."""
    locks = folder / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(locks / name))
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_settled(record: Record | None, order: Order) -> bool:
    """Whether nothing is left to do for a trial.

    What was stopped as hopeless is done only while that is wanted; in a search it stays so, whose study was told.
    """
    if record is None:
        return False
    given_up = record.state == "hopeless" and (order.stop != "none" or order.search is not None)
    return given_up or record.state in ("finished", "failed", "refused")
