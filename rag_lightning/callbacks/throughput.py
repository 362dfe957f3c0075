"""Log how fast training is, in real tokens, and how much memory it took at most."""

import sys
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class Throughput(Callback):
    """Log ``throughput/tokens_per_s`` and ``memory/peak_gb`` every ``trainer.log_every_n_steps`` steps.

    Tokens are those that ``batch["attention_mask"]`` marks (special tokens count, padding does not), summed
    over all devices. Time is the training loop's, waiting for data included and validation excluded. Memory
    is in GiB: the process's resident peak on a CPU, the allocator's peak on a GPU, of the largest process.

    Attributes:
        tokens: trained on since the fit started, in this process; complete when the fit has ended.
        seconds: the time that these took.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self.seconds = 0.0
        self._waiting: torch.Tensor | int = 0  # stays on the device: reading it waits for the device
        self._elapsed = 0.0
        self._mark = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.tokens, self.seconds = 0, 0.0
        self._waiting, self._elapsed, self._mark = 0, 0.0, time.perf_counter()
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._mark = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._elapsed += time.perf_counter() - self._mark

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._mark = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._waiting = self._waiting + batch["attention_mask"].sum()
        step_done = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 or trainer.is_last_batch
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        logs = step_done and every > 0 and trainer.global_step % every == 0
        if logs:
            tokens = int(self._waiting)  # waits for the device, so the clock is read after it
        now = time.perf_counter()
        self._elapsed, self._mark = self._elapsed + now - self._mark, now
        if not logs:
            return
        pl_module.log("throughput/tokens_per_s", tokens / self._elapsed, sync_dist=True, reduce_fx="sum")
        peak = peak_memory(pl_module.device)
        if peak is not None:
            pl_module.log("memory/peak_gb", peak, sync_dist=True, reduce_fx="max")
        self._close_window(tokens)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close_window(int(self._waiting))

    def _close_window(self, tokens: int) -> None:
        self.tokens += tokens
        self.seconds += self._elapsed
        self._waiting, self._elapsed = 0, 0.0


def peak_memory(device: torch.device) -> float | None:
    """The most memory that this process has held so far, in GiB; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    status = Path("/proc/self/status")
    if status.is_file():  # unlike getrusage, not inherited from the process that started this one
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
