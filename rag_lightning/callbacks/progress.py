"""Progress that suits where it is read: a bar on a terminal, a plain line per epoch in a log."""

import sys
import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.progress import ProgressColumn, TimeRemainingColumn

from rag_lightning.console import said_file
from rag_lightning.report.text import duration

THEME = RichProgressBarTheme(
    description="bold",
    progress_bar="cyan",
    progress_bar_finished="green",
    progress_bar_pulse="cyan",
    batch_progress="",
    time="dim",
    processing_speed="dim",
    metrics="",
    metrics_text_delimiter="  ",
    metrics_format=".3f",
)


class Progress(RichProgressBar):
    """A bar on a terminal; elsewhere one line an epoch, and one every ``every_seconds`` within long epochs.

    Args:
        headline: the validation metric to show, such as ``f1``.
        every_seconds: between two lines within an epoch.
        bar: None shows the bar on a terminal only.
    """

    def __init__(self, headline: str = "f1", every_seconds: float = 300.0, bar: bool | None = None) -> None:
        shown = sys.stdout.isatty() if bar is None else bar
        super().__init__(refresh_rate=4 if shown else 0, theme=THEME)
        self.headline = headline
        self.every_seconds = every_seconds
        self._lines = not shown
        self._started = self._last = 0.0
        self._first_step = 0
        self._validated = False
        self._shown: dict[str, Any] = {}
        self._shown_at = 0.0

    def configure_columns(self, trainer: Trainer) -> list[ProgressColumn]:
        text, bar, batches, *_ = super().configure_columns(trainer)
        bar.bar_width = 10  # so that the metrics fit on a line of 80
        return [text, bar, batches, TimeRemainingColumn()]

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        # Reading a metric waits for the device: twice a second is enough for an eye.
        if time.monotonic() - self._shown_at >= 0.5:
            values = _values(trainer, self.headline)
            self._shown = {k: f"{v:,.0f}" if k == "tokens/s" else v for k, v in values.items()}
            self._shown_at = time.monotonic()
        return self._shown

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._started = self._last = time.monotonic()
        self._first_step = trainer.global_step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._shown_at = 0.0
        super().on_validation_end(trainer, pl_module)
        self._validated = not trainer.sanity_checking

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self._lines and trainer.is_global_zero and time.monotonic() - self._last >= self.every_seconds:
            self._print(trainer, f"step {trainer.global_step:,}", validated=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._shown_at = 0.0
        super().on_train_epoch_end(trainer, pl_module)
        if self._lines and trainer.is_global_zero:
            self._print(trainer, None, validated=self._validated)

    def _print(self, trainer: Trainer, place: str | None, validated: bool) -> None:
        self._last = time.monotonic()
        values = _values(trainer, self.headline)
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        parts = [f"epoch {trainer.current_epoch + 1}{of}", *([place] if place else [])]
        if "loss" in values:
            parts.append(f"train loss {values['loss']:.4f}")
        if validated and self.headline in values:
            parts.append(f"validation {self.headline} {values[self.headline]:.3f}")
        if "tokens/s" in values:
            parts.append(f"{values['tokens/s']:,.0f} tokens/s")
        elapsed = time.monotonic() - self._started
        parts.append(duration(elapsed))
        eta = self._eta(trainer, elapsed)
        if eta is not None:
            parts.append(f"eta {duration(eta)}")
        print("  ".join(parts), file=said_file(), flush=True)

    def _eta(self, trainer: Trainer, elapsed: float) -> float | None:
        done, total = trainer.global_step - self._first_step, float(trainer.estimated_stepping_batches)
        left = total - trainer.global_step
        if done <= 0 or left <= 0 or total == float("inf"):
            return None
        return elapsed * left / done


def _values(trainer: Trainer, headline: str) -> dict[str, float]:
    metrics = trainer.callback_metrics
    names = {
        "loss": ("train/loss_epoch", "train/loss"),
        headline: (f"validation/{headline}",),
        "tokens/s": ("throughput/tokens_per_s",),
    }
    found = {short: next((n for n in long if n in metrics), None) for short, long in names.items()}
    return {short: float(metrics[name]) for short, name in found.items() if name is not None}
