"""Look at all trials before any is trained: which are runs that exist, which are refused, which wait."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import track

from rag_lightning.console import console, say
from rag_lightning.errors import UserError
from rag_lightning.sweep.order import LOGS, Order, claimed
from rag_lightning.sweep.outcome import Planned, finished_record, plan_trial, planned_record, refused_record, told_to
from rag_lightning.sweep.question import Trial
from rag_lightning.sweep.record import Record, write_record
from rag_lightning.training.folder import RunFolder

SHOWN = 40  # lines of a list of trials
WORTH_A_BAR = 20


@dataclass(frozen=True)
class Outlook:
    """What a sweep is about to do.

    Attributes:
        waiting: the trials that must run, or go on.
        records: what is known of the trials, by key; those that wait have the fingerprint of their run.
        task, headline, lower_is_better: of the trials; empty if none could be planned.
    """

    waiting: tuple[Trial, ...]
    records: Mapping[str, Record]
    task: str = ""
    headline: str = ""
    lower_is_better: bool = False


def look_ahead(order: Order, trials: Sequence[Trial], known: Mapping[str, Record], *, dry: bool) -> Outlook:
    """Plan the trials that are open; what is finished elsewhere or refused is recorded at once (not if ``dry``)."""
    records = dict(known)
    waiting: list[Trial] = []
    last: Planned | None = None
    for trial in _with_bar(trials):
        try:
            planned = plan_trial(trial, told_to(trial, order.name, force=order.force))
        except UserError as mistake:
            records[trial.key] = refused_record(trial, mistake)
            if not dry:
                write_record(order.path, records[trial.key])
            continue
        last = planned
        before = records.get(trial.key)
        record = planned_record(trial, planned, order.origin)
        run = RunFolder(planned.plan.folder)
        # What probes still lack of a finished run is measured by a worker.
        if run.finished() and not order.force and not planned.plan.probes:
            records[trial.key] = finished_record(record, planned.plan)
            if not dry:
                _write_if_free(order.path, records[trial.key])
            continue
        state = before.state if before is not None else "waiting"
        records[trial.key] = replace(record, state=state, reason=before.reason if before is not None else None)
        waiting.append(trial)
    if last is None:
        return Outlook(tuple(waiting), records)
    task = last.plan.task
    return Outlook(tuple(waiting), records, task.name, task.headline, task.lower_is_better)


def _with_bar(trials: Sequence[Trial]) -> Sequence[Trial]:
    if len(trials) < WORTH_A_BAR or not console.is_terminal:
        return trials
    return track(trials, "planning", console=console, transient=True)  # type: ignore[return-value]


def _write_if_free(folder: Path, record: Record) -> None:
    with claimed(folder, record.key) as free:
        if free:
            write_record(folder, record)


def say_outlook(order: Order, outlook: Outlook) -> None:
    """How many trials wait, are done, are refused, and why."""
    states = [record.state for record in outlook.records.values()]
    done = sum(state in ("finished", "hopeless") for state in states)
    failed, refused = states.count("failed"), states.count("refused")
    parts = [f"{len(outlook.waiting):,} to run", f"{done:,} done"]
    parts += [f"{failed:,} failed before (sweep.again=failed tries again)"] if failed else []
    parts += [f"{refused:,} refused"] if refused else []
    say(f"sweep    {order.name}: {order.total:,} trials; {', '.join(parts)}")
    say(f"  folder   {order.folder} (what runs say: {LOGS}/*.log)")
    for record in list(_of(outlook, "refused"))[:SHOWN]:
        say(f"  refused  {shown(record.values)}: {record.reason}", style="yellow")
    twins = sum(number - 1 for number in _times(outlook).values())
    if twins:
        say(f"  twins    {twins:,} trials are the same run as another one: it runs once")


def say_trials(outlook: Outlook, trials: Sequence[Trial]) -> None:
    """A line for each trial: what would be done with it."""
    waiting = {trial.key for trial in outlook.waiting}
    for trial in list(trials)[:SHOWN]:
        record = outlook.records.get(trial.key)
        state = record.state if record is not None else "waiting"
        score = f"  {record.score:.3f}" if record is not None and record.score is not None else ""
        reason = f"  {record.reason}" if record is not None and record.reason and state != "refused" else ""
        verb = ("would go on" if state in ("running", "stopped") else "would run") if trial.key in waiting else state
        say(f"  {verb:<11} {shown(trial.values)}{score}{reason}")
    if len(trials) > SHOWN:
        say(f"  … and {len(trials) - SHOWN:,} more")


def shown(values: Mapping[str, str]) -> str:
    """The swept values of a trial, on one line."""
    return "  ".join(f"{key}={value}" for key, value in values.items()) or "(as it is)"


def _of(outlook: Outlook, state: str) -> list[Record]:
    return [record for record in outlook.records.values() if record.state == state]


def twins_of(outlook: Outlook) -> list[str]:
    """The fingerprints of runs that several of the waiting trials are."""
    return [fingerprint for fingerprint, number in _times(outlook).items() if number > 1]


def _times(outlook: Outlook) -> Counter[str]:
    waiting = {trial.key for trial in outlook.waiting}
    return Counter(str(record.fingerprint) for key, record in outlook.records.items() if key in waiting)
