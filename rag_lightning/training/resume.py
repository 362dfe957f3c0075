"""Resume points: where a run goes on after Ctrl-C, kill -9 or a crash, to the same weights, bit for bit."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from rag_lightning.cli import Interrupted
from rag_lightning.config.schema import CheckpointConfig
from rag_lightning.console import say
from rag_lightning.training.atomic import digest_path, is_whole
from rag_lightning.training.learned import load_learned, save_learned
from rag_lightning.training.stop import GracefulStop

BEST = "best.safetensors"


def newest_whole(folder: Path, *, clean: bool) -> Path | None:
    """The newest resume point that is not damaged; with ``clean`` damaged ones are told of and removed."""
    for point in sorted(folder.glob("step-*.ckpt"), reverse=True):
        if is_whole(point):
            return point
        if clean:
            say(f"{point.name} is damaged (cut off or changed); going back to the one before it", style="yellow")
            point.unlink()
            digest_path(point).unlink(missing_ok=True)
    return None


class ResumePoints(Checkpoint):
    """Saves the whole training state regularly and on a stop, and the best weights by a validation metric.

    Unlike Lightning's ``ModelCheckpoint`` it never saves between the micro-batches of one optimizer step nor at the
    last batch of an epoch before its validation, where going on could not give the same weights.

    Args:
        folder: for ``step-*.ckpt`` and ``best.safetensors``.
        config: how often and how many.
        monitor: the metric of the best weights; ``lower``: less is better, else more.
        stop: asked after every step.
    """

    def __init__(
        self, folder: Path, config: CheckpointConfig, monitor: str, stop: GracefulStop, *, lower: bool = False
    ) -> None:
        self.lower = lower
        self.folder, self.config, self.monitor, self.stop = folder, config, monitor, stop
        self.best_score: float | None = None
        self.best_epoch = -1
        self._saved_step, self._saved_at = -1, time.monotonic()

    @property
    def best_path(self) -> Path:
        return self.folder / BEST

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loop = trainer.fit_loop.epoch_loop
        if loop._should_accumulate() or loop.batch_progress.is_last_batch:
            return
        stopping = self._stopping(trainer)
        if stopping or self._due(trainer):
            self._save(trainer)
        if stopping:
            raise Interrupted(f"at step {trainer.global_step}; the same command again goes on from there")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        score = trainer.callback_metrics.get(self.monitor)
        if score is not None and (self.best_score is None or self._better(float(score), self.best_score)):
            self.best_score, self.best_epoch = float(score), trainer.current_epoch
            self._save_weights(trainer, pl_module)

    def _better(self, score: float, than: float) -> bool:
        return score < than if self.lower else score > than

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        stopping = self._stopping(trainer)
        if stopping or self._due(trainer):
            self._save(trainer)
        if stopping:
            raise Interrupted(f"after epoch {trainer.current_epoch}; the same command again goes on from there")

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]

    def load_best(self, network: torch.nn.Module) -> bool:
        """Put the best weights into ``network``; False if none were saved.

        Raises:
            UserError: if the file is damaged or of another network.
        """
        if not self.best_path.is_file():
            return False
        load_learned(network, self.best_path)
        return True

    def _stopping(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size == 1:
            return self.stop.requested
        return bool(trainer.strategy.reduce_boolean_decision(self.stop.requested, all=False))

    def _due(self, trainer: pl.Trainer) -> bool:
        if trainer.global_step == self._saved_step:
            return False
        by_steps = self.config.every_steps and trainer.global_step % self.config.every_steps == 0
        seconds = self.config.every_seconds
        by_time = seconds is not None and time.monotonic() - self._saved_at >= seconds
        if trainer.world_size > 1 and seconds is not None:  # clocks differ, and all ranks must save together
            by_time = bool(trainer.strategy.reduce_boolean_decision(by_time, all=False))
        return bool(by_steps or by_time)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.folder / f"step-{trainer.global_step:08d}.ckpt")
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        if trainer.is_global_zero:
            for old in sorted(self.folder.glob("step-*.ckpt"))[: -self.config.keep]:
                old.unlink()
                digest_path(old).unlink(missing_ok=True)

    def _save_weights(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        weights = trainer.strategy.lightning_module_state_dict()
        if trainer.is_global_zero:
            own = {k.removeprefix("network."): v for k, v in weights.items() if k.startswith("network.")}
            save_learned(own, getattr(module, "never_learning", ()), self.best_path)
