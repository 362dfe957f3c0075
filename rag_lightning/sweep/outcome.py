"""What became of a trial, as a record: from a plan, a finished run's folder, or an exception."""

import math
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_lightning.config.inputs import noting_inputs, stat_of, state_of
from rag_lightning.config.overrides import override
from rag_lightning.config.recompose import recompose
from rag_lightning.errors import UserError
from rag_lightning.sweep.question import Trial
from rag_lightning.sweep.record import Record
from rag_lightning.training.folder import RunFolder
from rag_lightning.training.plan import Plan, make_plan

REASON = 2_000  # characters of an exception that are kept


_REMEMBERED = 100  # plans


@dataclass(frozen=True)
class Planned:
    """A trial that may run, and what it reads."""

    plan: Plan
    inputs: Mapping[str, tuple[int, int]]


_planned: dict[tuple[str, ...], Planned] = {}


def told_to(trial: Trial, sweep: str, *, force: bool) -> list[str]:
    """What a trial's run is told beside its settings: names for dashboards, and whether to begin anew."""
    name = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in trial.values.items())
    typed = {word.partition("=")[0] for word in trial.overrides}
    names = {"run.group": sweep, "run.name": name}
    more = [override(key, value) for key, value in names.items() if key not in typed and value]
    return [*more, "force=true"] if force else more


def plan_trial(trial: Trial, more: Sequence[str] = ()) -> Planned:
    """Compose and check a trial.

    Args:
        more: overrides that are no part of what the run is.

    Raises:
        UserError: if it is refused.
    """
    words = (*trial.overrides, *more)
    known = _planned.pop(words, None)
    if known is not None and all(stat_of(Path(path)) == state for path, state in known.inputs.items()):
        return known  # planned before the sweep began, in this process
    with noting_inputs() as found:
        planned = Planned(make_plan(recompose("train", words)), state_of(found))
    if len(_planned) < _REMEMBERED:
        _planned[words] = planned
    return planned


def new_record(trial: Trial, **more: Any) -> Record:
    """A record of now, by this process."""
    return Record(
        trial.key, trial.number, trial.overrides, trial.values, time=time.strftime("%FT%T"), worker=this_process(),
        **more,
    )  # fmt: skip


def this_process() -> str:
    """Host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def planned_record(trial: Trial, planned: Planned, origin: str) -> Record:
    """The record of a trial that is known to be a run."""
    folder = str(planned.plan.folder.absolute())
    return new_record(trial, fingerprint=planned.plan.fingerprint, folder=folder, inputs=planned.inputs, origin=origin)


def refused_record(trial: Trial, mistake: UserError) -> Record:
    return new_record(trial, state="refused", reason=str(mistake))


def finished_record(record: Record, plan: Plan) -> Record:
    """The record of a trial whose run's folder says finished: a score that is no number is a failure."""
    status = RunFolder(plan.folder).status()
    given: Mapping[str, float | None] = status.get("metrics", {})
    metrics = {name: float(value) for name, value in given.items() if value is not None}
    score = metrics.get(f"validation/{plan.task.headline}")
    main = [f"{split}/{name}" for split in ("validation", "test") for name in ("loss", plan.task.headline)]
    odd = [name for name in main if name in given and not math.isfinite(metrics.get(name, math.nan))]
    seconds = float(status.get("seconds", 0.0))
    if odd:
        return replace(
            record, state="failed", reason=f"{odd[0]} is not a number", metrics=metrics, seconds=seconds,
            time=time.strftime("%FT%T"),
        )  # fmt: skip
    return replace(
        record, state="finished", reason=None, metrics=metrics, score=score, seconds=seconds,
        time=time.strftime("%FT%T"),
    )  # fmt: skip


def failed_record(record: Record, error: BaseException) -> Record:
    """The record of a trial that an exception ended."""
    told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "out of memory" in told.lower():
        told = f"out of memory ({told})"
    seconds = RunFolder(Path(record.folder)).status().get("seconds", 0.0) if record.folder else 0.0
    return replace(
        record, state="failed", reason=told[:REASON], seconds=float(seconds), time=time.strftime("%FT%T")
    )  # fmt: skip
