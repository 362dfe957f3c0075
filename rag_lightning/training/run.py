"""The life of a run: known or new, resumed or fresh, trained, tested, exported, reported."""

import gc
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities.exceptions import SIGTERMException

from rag_lightning.cli import Interrupted
from rag_lightning.console import is_rank_zero, say
from rag_lightning.errors import UserError
from rag_lightning.report.loggers import close_loggers
from rag_lightning.training.before import scores_before
from rag_lightning.training.build import Parts, build, say_what_runs
from rag_lightning.training.finish import finish
from rag_lightning.training.folder import RunFolder
from rag_lightning.training.knowledge import lacking_probes, measure_finished, say_before
from rag_lightning.training.plan import Plan, make_plan, run_identity
from rag_lightning.training.resume import newest_whole
from rag_lightning.training.stages import learn
from rag_lightning.training.stop import GracefulStop
from rag_lightning.trials import are_many

_set_aside = False  # what was there before the second trial


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    Attributes:
        folder: of report, predictions and model.
        metrics: flat, such as ``test/f1``.
        score: the validation headline, for a sweep to optimise.
        headline: name of the metric that the task is judged by, such as ``f1``.
        already_done: nothing was computed, the result was there.
        lower_is_better: of the headline.
    """

    folder: Path
    metrics: dict[str, float]
    score: float | None
    headline: str
    already_done: bool = False
    lower_is_better: bool = False


# A callback for this training only, which may ask it to stop; no part of what the run is.
Watch = Callable[[Plan, GracefulStop], pl.Callback]


def run(raw: DictConfig) -> RunResult:
    """Do the run that a configuration describes, or what is left of it.

    Raises:
        UserError: for a mistake of the user.
        Interrupted: when stopped by a signal, after the state was saved.
    """
    return run_plan(make_plan(raw))


def run_plan(plan: Plan, watch: Watch | None = None) -> RunResult:
    """Like :func:`run`, for a configuration that was checked already.

    Raises:
        Busy: if another process is at this very run.
    """
    folder = RunFolder(plan.folder)
    # The process goes on after us, in a notebook or a sweep: its random numbers and warnings stay as they were.
    with folder.locked(), torch.random.fork_rng(devices=[]), warnings.catch_warnings(), _matmul_precision_kept():
        if plan.config.force and is_rank_zero():
            folder.clear()
        if folder.finished():
            if is_rank_zero() and (probes := lacking_probes(plan, folder)):
                if folder.model.is_dir():
                    measure_finished(plan, folder, probes)
                else:
                    say(f"The model of {folder.path} is gone: only force=true, which trains it again, can probe it.")
            return _already_done(plan, folder)
        try:
            return _do(plan, folder, watch)
        finally:
            _collect()


def _collect() -> None:
    """Give back what the run held: network, module and Trainer refer to each other.

    After the first of many trials all that the libraries hold is set aside, which would be searched each time (a
    quarter of a second).
    """
    global _set_aside
    gc.collect()
    if are_many() and not _set_aside:
        _set_aside = True
        gc.freeze()


@contextmanager
def _matmul_precision_kept() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _already_done(plan: Plan, folder: RunFolder) -> RunResult:
    metrics = folder.metrics()
    shown = "  ".join(f"{name} {metrics[name]:.3f}" for name in _headlines(plan, metrics))
    say(f"This run is finished: {folder.path}  {shown}\nforce=true runs it again from the start.")
    return RunResult(folder.path, metrics, _score(plan, metrics), plan.task.headline, True, plan.task.lower_is_better)


def _headlines(plan: Plan, metrics: dict[str, float]) -> list[str]:
    names = [f"{split}/{plan.task.headline}" for split in ("validation", "test")]
    return [name for name in names if name in metrics]


def _do(plan: Plan, folder: RunFolder, watch: Watch | None) -> RunResult:
    say(f"{plan.task.name}: {plan.name}")
    say(f"  folder   {folder.path}")
    if is_rank_zero():
        folder.write_config(plan.plain, run_identity(plan))
    point = newest_whole(folder.checkpoints, clean=is_rank_zero())
    began, before = time.monotonic(), float(folder.status().get("seconds", 0.0)) if point else 0.0
    parts: Parts | None = None
    state: dict[str, Any] = {"state": "failed"}
    folder.set_status("running", seconds=before)
    try:
        with GracefulStop() as stop:
            parts = build(plan, stop)
            if watch is not None:  # first: what it decides holds for the resume point of the same step
                trainer: Any = parts.trainer
                trainer.callbacks.insert(0, watch(plan, stop))
            say_what_runs(parts, plan)
            if point is not None:
                say(f"  resuming from {point.name}")
            untrained = scores_before(plan.task, parts, folder)
            say_before(plan)
            with parts.trunk.in_its_threads():
                _learn(plan, parts, stop, point)
            metrics = finish(plan, folder, parts, before + time.monotonic() - began, untrained)
        state = {"state": "finished", "metrics": metrics}
    except Interrupted as stopped:
        state = {"state": "stopped", "reason": str(stopped)}
        raise
    except KeyboardInterrupt:
        state = {"state": "stopped", "reason": "interrupted at once"}
        raise
    except BaseException as error:
        state = {"state": "failed", "reason": f"{type(error).__name__}: {error}"}
        raise
    finally:
        folder.set_status(**state, seconds=before + time.monotonic() - began)
        if parts is not None:
            _release(parts, failed=state["state"] == "failed")
    return RunResult(folder.path, metrics, _score(plan, metrics), plan.task.headline, False, plan.task.lower_is_better)


def _score(plan: Plan, metrics: dict[str, float]) -> float | None:
    return metrics.get(f"validation/{plan.task.headline}")


def _learn(plan: Plan, parts: Parts, stop: GracefulStop, point: Path | None) -> None:
    try:
        learn(plan, parts, stop, point)
    except SIGTERMException:  # Lightning was quicker than our own stop after the epoch's last batch
        raise Interrupted("by SIGTERM; the same command again goes on from the last resume point") from None
    except SystemExit as error:  # Lightning's way with a second Ctrl-C
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    except RuntimeError as error:
        if "conditioned on metric" in str(error):
            remedy = "Set its monitor to one of these."
            raise UserError(str(error).splitlines()[0], where="callbacks", remedy=remedy) from None
        if "out of memory" in str(error).lower():
            raise UserError(
                f"the device's memory is full ({str(error).splitlines()[0][:120]})",
                where="batching",
                remedy="Lower batching.size (trainer.accumulate_grad_batches makes up for it) or model.max_length, "
                "or set trainer.precision=bf16-mixed.",
            ) from error
        raise


def _release(parts: Parts, failed: bool) -> None:
    """Leave nothing behind for the next run of this process."""
    for sentence in close_loggers(parts.trainer.loggers, failed=failed):
        say(sentence)
    trainer: Any = parts.trainer
    if isinstance(trainer, pl.Trainer) and trainer.strategy is not None:
        trainer.strategy.teardown()
