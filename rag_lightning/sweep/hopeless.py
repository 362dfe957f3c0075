"""Stop trials early that are clearly worse than others of the sweep were at the same epoch.

``median``: worse than the median of the others (Golovin et al. 2017, Google Vizier). ``halving``: at epochs b, b·f,
b·f², … not among the best 1/f of those that came so far (Li et al. 2020, asynchronous successive halving).
"""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from rag_lightning.report.history import Row, read_history
from rag_lightning.sweep.order import Order
from rag_lightning.sweep.record import Record, read_records
from rag_lightning.training.plan import Plan
from rag_lightning.training.stop import GracefulStop

Curve = tuple[tuple[float, float], ...]  # epoch and best score so far, at each validation
_SLACK = 1e-3  # epochs: positions are rounded


def curve_of(rows: Sequence[Row], metric: str, lower: bool) -> Curve:
    """The best score so far at each validation of a run's history."""
    points: list[tuple[float, float]] = []
    for row in rows:
        value = row.get(metric)
        if value is None or math.isnan(value):
            continue
        best = value if not points else (min if lower else max)(points[-1][1], value)
        points.append((row["epoch"], best))
    return tuple(points)


def at(curve: Curve, epoch: float) -> float | None:
    """A curve's value at an epoch; None where it had none yet, or ended before."""
    if not curve or curve[-1][0] < epoch - _SLACK:
        return None
    return next((value for place, value in reversed(curve) if place <= epoch + _SLACK), None)


def verdict(own: float, epoch: float, others: Sequence[Curve], order: Order, lower: bool) -> str | None:
    """Why a trial is hopeless; None if it is not.

    Args:
        own: its best score so far, at this epoch.
        others: the curves of trials that have ended.
    """
    reached = [value for curve in others if (value := at(curve, epoch)) is not None]
    if len(others) < order.stop_after or not reached or epoch < order.stop_from - _SLACK:
        return None
    sign = -1.0 if lower else 1.0
    if order.stop == "median":
        middle = statistics.median(reached)
        return f"{own:.4f} at epoch {epoch:g}, the median is {middle:.4f}" if sign * own < sign * middle else None
    if not _is_rung(epoch, order):
        return None
    better = sum(sign * value > sign * own for value in reached)
    kept = max(1, (len(reached) + 1) // order.stop_factor)
    return f"{own:.4f} at epoch {epoch:g}, {better} of {len(reached)} others were better" if better >= kept else None


def _is_rung(epoch: float, order: Order) -> bool:
    exponent = math.log(epoch / order.stop_from, order.stop_factor)
    return abs(order.stop_from * order.stop_factor ** round(exponent) - epoch) < 0.01


class HopelessStop:
    """Watches one trial.

    Attributes:
        verdict: best score so far and reason, once it was found hopeless.
    """

    def __init__(self, order: Order, record: Record) -> None:
        self.order, self.record = order, record
        self.verdict: tuple[float, str] | None = None
        self._curves: dict[str, Curve] = {}

    def callback(self, plan: Plan, stop: GracefulStop) -> pl.Callback:
        """Lightning's view of it, for one training."""
        return _AfterValidation(self, plan, stop)

    def judge(self, plan: Plan, stop: GracefulStop) -> None:
        """Ask the training to stop if its last validation was hopeless."""
        metric, lower = f"validation/{plan.task.headline}", plan.task.lower_is_better
        own = curve_of(read_history(plan.folder / "history.jsonl"), metric, lower)
        if not own:
            return
        epoch, score = own[-1]
        if (reason := verdict(score, epoch, self._others(metric, lower), self.order, lower)) is not None:
            self.verdict = score, reason
            stop.requested = True

    def _others(self, metric: str, lower: bool) -> list[Curve]:
        """Curves of the trials that have ended; each file is read once."""
        for record in read_records(self.order.path):
            ended = record.state in ("finished", "hopeless") and record.key != self.record.key
            if ended and record.folder is not None and record.key not in self._curves:
                self._curves[record.key] = curve_of(_history(Path(record.folder)), metric, lower)
        return list(self._curves.values())


class _AfterValidation(pl.Callback):
    def __init__(self, watch: HopelessStop, plan: Plan, stop: GracefulStop) -> None:
        self.watch, self.plan, self.stop = watch, plan, stop
        self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = trainer.state.fn == "fit" and not trainer.sanity_checking

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer)

    def _look(self, trainer: pl.Trainer) -> None:
        if self._validated and not _is_last(trainer):  # its numbers stand in the history only now
            self.watch.judge(self.plan, self.stop)
        self._validated = False


def _is_last(trainer: pl.Trainer) -> bool:
    """Whether the training ends anyway: then the test is worth its time."""
    epochs = trainer.max_epochs is not None and 0 < trainer.max_epochs <= trainer.current_epoch + 1
    at_end = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
    steps = 0 < trainer.max_steps <= trainer.global_step
    return bool(steps or (epochs and at_end))


def _history(folder: Path) -> list[Row]:
    try:
        return read_history(folder / "history.jsonl")
    except ValueError:
        return []
