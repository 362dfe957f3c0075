"""Which trials are done already, told from their records and a few file times, without composing anything."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from rag_lightning import __version__
from rag_lightning.config.inputs import stat_of
from rag_lightning.config.paths import conf_dir
from rag_lightning.errors import UserError
from rag_lightning.sweep.order import Order, claimed, is_settled
from rag_lightning.sweep.question import Trial
from rag_lightning.sweep.record import TRIALS, Record, State, read_records, write_record
from rag_lightning.training.folder import RunFolder

STUDY = "study.db"  # of an optuna search
EARLIER = "earlier"  # records of trials that are no longer asked for


def origin_of(cwd: str) -> str:
    """What the result of given overrides hangs on beside the files that are read."""
    digest = hashlib.sha256()
    for file in sorted(conf_dir().rglob("*.yaml")):
        digest.update(f"{file.relative_to(conf_dir())} ".encode() + file.read_bytes())
    return f"{__version__} {digest.hexdigest()[:16]} {cwd}"


def sort_out(
    order: Order, trials: Sequence[Trial], again: str, *, dry: bool = False
) -> tuple[list[Trial], dict[str, Record]]:
    """The trials that must be looked at, and the records of all that have one.

    Records of trials that are no longer asked for are put aside; what a dead worker left, and what shall be tried
    again, is noted as such (not if ``dry``).
    """
    folder = order.path
    known = {record.key: record for record in read_records(folder)}
    asked = {trial.key: trial for trial in trials}
    for key in () if dry else known.keys() - asked.keys():
        (folder / TRIALS / EARLIER).mkdir(exist_ok=True)
        (folder / TRIALS / f"{key}.json").replace(folder / TRIALS / EARLIER / f"{key}.json")
    stat = lru_cache(maxsize=None)(stat_of)
    open_trials: list[Trial] = []
    records: dict[str, Record] = {}
    for key, trial in asked.items():
        record = known.get(key)
        if record is not None and record.number != trial.number:
            record = replace(record, number=trial.number)
            if not dry:
                write_record(folder, record)
        if record is not None:
            records[key] = record
            unchanged = all(stat(Path(path)) == state for path, state in record.inputs.items())
            if _stays(record, order, again) and unchanged:
                continue
            records[key] = record if dry else _reopened(record, order)
        open_trials.append(trial)
    return open_trials, records


def sort_out_search(order: Order) -> None:
    """Note what a dead worker left of a search; with force all of it is put aside.

    Raises:
        UserError: if files that its trials read have changed: old and new scores cannot be compared.
    """
    records = read_records(order.path)
    if order.force:
        for file in (*(order.path / TRIALS / f"{record.key}.json" for record in records), order.path / STUDY):
            if file.is_file():
                (order.path / TRIALS / EARLIER).mkdir(parents=True, exist_ok=True)
                file.replace(order.path / TRIALS / EARLIER / file.name)
        return
    stat = lru_cache(maxsize=None)(stat_of)
    for record in records:
        for path, state in record.inputs.items():
            if Path(path).is_file() and stat(Path(path)) != state:
                raise UserError(
                    f"{path} has changed since the search began, whose scores would not be comparable",
                    where=order.folder,
                    remedy="Begin again with force=true, or in another folder with sweep.folder=….",
                )
        if not is_settled(record, order):
            _reopened(record, order)


def _stays(record: Record, order: Order, again: str) -> bool:
    settled = is_settled(record, order) and record.state != "refused"  # what was refused may be right by now
    if not settled or order.force or record.origin != order.origin or any("${" in word for word in record.overrides):
        return False
    if record.state == "finished":
        return record.folder is not None and RunFolder(Path(record.folder)).finished()
    return record.state != "failed" or again != "failed"


def _reopened(record: Record, order: Order) -> Record:
    """The record of a trial that is looked at again, unless somebody is at work on it."""
    with claimed(order.path, record.key) as free:
        if not free:
            return record
        state: State = "stopped" if record.state in ("running", "stopped") and not order.force else "waiting"
        reason = "its worker was killed" if record.state == "running" else record.reason
        fresh = replace(record, state=state, reason=reason if state == "stopped" else None, broken=0)
        if fresh != record:
            write_record(order.path, fresh)
        return fresh
