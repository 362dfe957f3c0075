"""Keep every logged number in ``history.jsonl``, one row a step, also across interruptions."""

import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn


class History(Callback):
    """Append what is logged during fit to ``folder/history.jsonl``.

    ``step`` is the number of optimizer steps done when the value was logged, ``epoch`` the epochs done (a
    fraction). When a fit starts from a checkpoint, rows after the checkpoint's step are dropped first, so
    that no step stands twice.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "history.jsonl"
        self._logger: _HistoryLogger | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # A logger sees all that is logged, by whomever; a callback's hooks come before a step's values do.
        if stage == "fit":
            self._logger = _HistoryLogger(self.path, trainer)
            trainer.loggers = [*trainer.loggers, self._logger]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._logger is not None:
            self._logger.drop_after(trainer.global_step)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        trainer.loggers = [logger for logger in trainer.loggers if logger is not self._logger]
        self._logger = None


class _HistoryLogger(Logger):
    """Writes rows; a step's later values replace its row in place."""

    def __init__(self, path: Path, trainer: Trainer) -> None:
        super().__init__()
        self._path = path
        self._trainer = trainer
        self._row: dict[str, Any] = {}  # the file's last row …
        self._start = 0  # … and where it starts, in bytes
        self._broken = False

    @property
    def name(self) -> str:
        return "history"

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self._path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        pass

    @rank_zero_only
    def drop_after(self, step: int) -> None:
        """Drop rows of steps after ``step``, all rows where it is 0, and a line that a crash cut off."""
        self._row, self._start = {}, 0
        if not self._path.is_file():
            return
        end = 0
        with self._path.open("rb") as file:
            for line in file:
                row = _parsed(line)
                if step == 0 or row is None or row["step"] > step:
                    break
                self._row, self._start, end = row, end, end + len(line)
        with self._path.open("r+b") as file:
            file.truncate(end)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        trainer = self._trainer
        values = {k: _finite(v) for k, v in metrics.items() if k not in ("step", "epoch")}
        position = {"step": trainer.global_step, "epoch": round(_epoch(trainer), 6)}
        same = self._row.get("step") == position["step"]
        row = {**(self._row if same else {}), **position, **values}
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("r+b" if self._path.exists() else "w+b") as file:
                start = self._start if same else file.seek(0, 2)
                file.seek(start)
                file.write(line)
                file.truncate()
        except OSError as error:  # curves are not worth a run; checkpoints report a full disk themselves
            if not self._broken:
                rank_zero_warn(f"{self._path} cannot be written ({error.strerror}): curves will have a gap")
            self._broken = True
            return
        self._row, self._start = row, start


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


def _epoch(trainer: Trainer) -> float:
    batches = trainer.num_training_batches
    if not math.isfinite(batches) or batches <= 0:
        return float(trainer.current_epoch)
    done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / batches
    return trainer.current_epoch + min(done, 1.0)


def _finite(value: Any) -> float | None:
    number = float(value)
    return float(f"{number:.7g}") if math.isfinite(number) else None  # what a float32 can tell
