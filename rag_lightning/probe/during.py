"""Quick probes every n optimizer steps, into ``history.jsonl`` and the loggers.

They are measured on a network of their own, into which the weights are copied, so that training is the same with and
without them, bit for bit. That network, and what drift compares with, is memory for two more backbones in float32.
"""

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from rag_lightning.probe.measure import Bench, Subject, measure, quick_ones, set_up
from rag_lightning.probe.registry import Probes

PREFIX = "probe"


class DuringTraining(pl.Callback):
    """Logs ``probe/<probe>/<metric>`` before the first step and after every n-th.

    Args:
        subject: the pretrained model and what the run learns from.
        probes: all that are asked for, of which the quick ones are measured.
        every: optimizer steps.
    """

    def __init__(self, subject: Subject, probes: Probes, every: int) -> None:
        self.subject, self.probes, self.every = subject, quick_ones(probes), every
        self._bench: Bench | None = None
        self._measured_at = -1

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bench = set_up(self.subject, self.probes)
        self._measured_at = trainer.global_step
        if trainer.global_step == 0:
            self._measure(trainer, pl_module)

    @rank_zero_only
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        step = trainer.global_step  # the same for all micro-batches of a step
        if step % self.every == 0 and step != self._measured_at:
            self._measure(trainer, pl_module)

    @rank_zero_only
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bench = None

    def _measure(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert self._bench is not None
        self._measured_at = trainer.global_step
        measured = measure(self._bench, module.network)  # type: ignore[arg-type]
        values = {
            f"{PREFIX}/{probe}/{name}": value
            for probe, scores in measured.items()
            for name, value in scores.items()
            if "/" not in name  # single layers and labels would be a hundred curves
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, trainer.global_step)
