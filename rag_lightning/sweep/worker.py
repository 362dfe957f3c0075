"""A worker: takes trials of a sweep one after another until none is left, and records what became of each.

What a launcher starts is a worker, not a trial. So any launcher will do, a worker loads a backbone once for its many
trials, and the trials of a worker that was killed are taken up by others.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from rag_lightning.cli import Interrupted
from rag_lightning.console import said_into, say
from rag_lightning.errors import UserError
from rag_lightning.report.text import duration
from rag_lightning.sweep.order import LOGS, Order, claimed, is_settled, read_order, read_waiting
from rag_lightning.sweep.outcome import (
    Planned,
    failed_record,
    finished_record,
    new_record,
    plan_trial,
    planned_record,
    refused_record,
    this_process,
    told_to,
)
from rag_lightning.sweep.planning import shown
from rag_lightning.sweep.question import Trial
from rag_lightning.sweep.ranks import follow, leading, tell
from rag_lightning.sweep.record import Record, read_record, read_records, write_record
from rag_lightning.sweep.stopping import WorkerStop
from rag_lightning.training.folder import Busy, RunFolder
from rag_lightning.trials import many_trials

WAIT = 1.0  # seconds between two looks at trials that others have


@dataclass(frozen=True)
class WorkerEnd:
    """Which process a worker was, and whether a signal ended it."""

    process: str
    stopped: bool


class Source(Protocol):
    """Where a worker's trials come from."""

    def open_trials(self) -> Iterator[Trial]:
        """Trials that are not settled yet, others' among them."""

    def settle(self, trial: Trial, record: Record) -> None:
        """Take note of what became of a trial."""

    def is_done(self) -> bool:
        """Whether nothing is left to do, nor to wait for."""

    def close(self) -> None:
        """Let go of files."""


class Listed:
    """The trials that were waiting when the sweep began."""

    def __init__(self, folder: Path) -> None:
        self._open = {trial.key: trial for trial in read_waiting(folder)}

    def open_trials(self) -> Iterator[Trial]:
        yield from list(self._open.values())

    def settle(self, trial: Trial, record: Record) -> None:
        self._open.pop(trial.key, None)

    def is_done(self) -> bool:
        return not self._open

    def close(self) -> None:
        pass


def work(config: Any) -> WorkerEnd:
    """The task function of a sweep's launcher: ``config.sweep.folder`` says which sweep.

    Raises:
        UserError: if this machine does not see the sweep's folder.
    """
    if follow():
        return WorkerEnd(this_process(), stopped=False)
    folder = Path(config.sweep.folder)
    order = read_order(folder)
    try:
        os.chdir(order.cwd)  # a worker on another machine begins elsewhere
    except OSError as error:
        raise UserError(
            f"a worker cannot go to the folder in which the sweep began ({error.strerror})",
            where=order.cwd,
            remedy="All machines of a sweep need one shared file system; begin it in a folder on it.",
        ) from None
    with many_trials(), leading(), contextlib.closing(_source_of(order)) as source, WorkerStop(folder) as stop:
        return WorkerEnd(this_process(), _work_off(order, source, stop))


def _source_of(order: Order) -> Source:
    if order.search is None:
        return Listed(order.path)
    from rag_lightning.sweep.search import Search  # sqlalchemy takes long to import

    return Search(order)


def _work_off(order: Order, source: Source, stop: WorkerStop) -> bool:
    """Whether it was stopped before all was done."""
    busy: dict[str, Path] = {}  # runs that another sweep or process is at
    while True:
        progress = False
        for trial in source.open_trials():
            if stop.requested:
                return True
            if trial.key in busy and not _is_free(busy[trial.key]):
                continue
            with claimed(order.path, trial.key) as mine:
                if not mine:
                    continue
                record = read_record(order.path, trial.key)
                if record is None or not is_settled(record, order):
                    record = _do(trial, record, order, busy)
                if record is not None and record.state == "stopped":
                    return True
            if record is not None:
                source.settle(trial, record)
                progress = True
        if source.is_done():
            return False
        if not progress:
            time.sleep(WAIT)


def _is_free(run: Path) -> bool:
    with contextlib.suppress(Busy), RunFolder(run).locked():
        return True
    return False


def _do(trial: Trial, before: Record | None, order: Order, busy: dict[str, Path]) -> Record | None:
    """One trial from plan to record; None if another process is at its run."""
    broken = (before.broken + (before.state == "running")) if before is not None else 0
    if before is not None and broken >= order.tries:
        reason = f"worker killed ({broken} workers ended during this trial; out of memory?)"
        return _kept(order, replace(before, state="failed", reason=reason, broken=broken))
    force = order.force and (before is None or before.state == "waiting")  # what was begun goes on
    say(f"[{trial.number + 1}/{order.total}] {shown(trial.values)}")
    record = new_record(trial, state="running", broken=broken)
    try:
        more = told_to(trial, order.name, force=force)
        planned = plan_trial(trial, more)
        if force and _twin_is_done(planned, order):
            more = told_to(trial, order.name, force=False)
            planned = plan_trial(trial, more)
        record = replace(planned_record(trial, planned, order.origin), state="running", broken=broken)
        write_record(order.path, record)
        tell([*trial.overrides, *more])
        return _kept(order, _run(planned, record, order))
    except Busy:
        busy[trial.key] = Path(str(record.folder))
        write_record(order.path, before or replace(record, state="waiting"))
        return None
    except UserError as mistake:
        refused = record.fingerprint is None
        return _kept(order, refused_record(trial, mistake) if refused else failed_record(record, mistake))
    except (Interrupted, KeyboardInterrupt) as stopped:
        return _kept(order, replace(record, state="stopped", reason=str(stopped) or "interrupted at once"))
    except (Exception, SystemExit) as error:
        return _kept(order, failed_record(record, error))


def _twin_is_done(planned: Planned, order: Order) -> bool:
    """Whether another trial that is the same run has been finished since force began all anew: its record says so."""
    fingerprint = planned.plan.fingerprint
    return fingerprint in order.twins and any(
        record.fingerprint == fingerprint and record.state == "finished" for record in read_records(order.path)
    )


def _run(planned: Planned, record: Record, order: Order) -> Record:
    from rag_lightning.sweep.hopeless import HopelessStop
    from rag_lightning.training.run import run_plan

    watch = HopelessStop(order, record) if order.stop != "none" else None
    try:
        with said_into(order.path / LOGS / f"{this_process().replace(':', '-')}.log"):
            say(f"\n[{record.number + 1}/{order.total}] {shown(record.values)}")
            run_plan(planned.plan, watch.callback if watch is not None else None)
    except Interrupted:
        if watch is None or watch.verdict is None:
            raise
        seconds = float(RunFolder(planned.plan.folder).status().get("seconds", 0.0))
        score, reason = watch.verdict
        return replace(record, state="hopeless", reason=reason, score=score, seconds=seconds)
    return finished_record(record, planned.plan)


def _kept(order: Order, record: Record) -> Record:
    write_record(order.path, record)
    style = {"finished": "green", "failed": "red", "refused": "yellow", "stopped": "yellow"}.get(record.state)
    if record.state != "stopped":
        score = f"  {record.score:.4f}" if record.score is not None else ""
        reason = f"  {record.reason}" if record.reason else ""
        say(
            f"[{record.number + 1}/{order.total}] {record.state}{score}{reason}  ({duration(record.seconds)})",
            style=style,
        )
    return record
