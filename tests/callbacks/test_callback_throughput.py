"""Tokens per second: real tokens over the training loop's own time."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tiny_fit import LENGTHS, QUIET, TinyModule, loader, trainer

from rag_lightning.callbacks.history import History
from rag_lightning.callbacks.throughput import Throughput, peak_memory
from rag_lightning.report.history import read_history, series

pytestmark = QUIET


class SlowModule(TinyModule):
    """A training step of 10 ms and a validation of 300 ms."""

    def training_step(self, batch: Mapping[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        time.sleep(0.01)
        return super().training_step(batch, batch_idx)

    def on_validation_epoch_start(self) -> None:
        time.sleep(0.3)


def test_counts_real_tokens_and_leaves_validation_out(tmp_path: Path) -> None:
    throughput = Throughput()
    options: dict[str, Any] = {"max_epochs": 2, "val_check_interval": 3}
    trainer(callbacks=[throughput, History(tmp_path)], **options).fit(SlowModule(), loader(), loader())
    assert throughput.tokens == 2 * sum(map(sum, LENGTHS))
    assert 0.12 <= throughput.seconds < 0.3 * 4  # four validations alone take longer
    _, rates = series(read_history(tmp_path / "history.jsonl"), "throughput/tokens_per_s")
    assert len(rates) == 6
    assert all(rate < max(map(sum, LENGTHS)) / 0.01 for rate in rates)


def test_an_unfinished_window_counts_at_the_end() -> None:
    throughput = Throughput()
    fit = trainer(callbacks=[throughput], max_epochs=1, log_every_n_steps=100)
    fit.fit(TinyModule(), loader(), loader())
    assert throughput.tokens == sum(map(sum, LENGTHS))
    assert throughput.seconds > 0
    assert "throughput/tokens_per_s" not in fit.callback_metrics


def test_accumulated_batches_count_in_their_step(tmp_path: Path) -> None:
    throughput = Throughput()
    callbacks = [throughput, History(tmp_path)]
    fit = trainer(callbacks=callbacks, max_epochs=1, accumulate_grad_batches=2, log_every_n_steps=1)
    fit.fit(TinyModule(), loader(), loader())
    steps, _ = series(read_history(tmp_path / "history.jsonl"), "throughput/tokens_per_s")
    assert steps == [1, 2, 3]
    assert throughput.tokens == sum(map(sum, LENGTHS))


def test_peak_memory_is_this_process() -> None:
    peak = peak_memory(torch.device("cpu"))
    assert peak is None or 0.05 < peak < 200
