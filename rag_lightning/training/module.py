"""The LightningModule that every task lives on: backbone and head in, losses and evaluations out."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed
from torch import Tensor, nn

from rag_lightning.data.records import Record
from rag_lightning.encoding.loader import STATES
from rag_lightning.errors import UserError
from rag_lightning.retention.method import Step
from rag_lightning.retention.retention import Retention
from rag_lightning.tasks.evaluation import Evaluation
from rag_lightning.tasks.task import Task
from rag_lightning.training.learned import check_names, without
from rag_lightning.training.optimization import Optimization, clip_gradients
from rag_lightning.trunk.begin import Beginning
from rag_lightning.tuning.gradual import Unfreezing
from rag_lightning.tuning.layer_rates import shown_rates

Batch = dict[str, Tensor]
NETWORK = "network."  # before the names of the network's weights in a checkpoint


class FineTuning(pl.LightningModule):
    """Wraps backbone and task head; loss, decoding and metrics come from the task.

    Args:
        network: a Hugging Face model with a head, whose output has ``logits``.
        task: what is learned.
        labels: label names, a label's id is its place.
        records: the examples of a split, for its evaluation.
        optimization: optimizer, schedule and parameter groups; None where nothing is trained.
        set_train_mode: puts the parts that learn in train mode and the others in eval mode.
        seed: with stage, epoch, batch and rank it decides every random number of a step.
        retention: what keeps the knowledge of pretraining; None: nothing.
        stage: number of a stage before or after the training on labelled examples; None for that training.
        unfreezing: changes what learns from step to step; None: it stays as it is.
        never_learning: names of the network's parameters that checkpoints leave out, since they stay the backbone's.
        beginning: how the network begins above its frozen layers, for batches that bring these layers' states.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        labels: tuple[str, ...],
        records: Callable[[str], Sequence[Record]],
        *,
        optimization: Optimization | None = None,
        set_train_mode: Callable[[nn.Module], None] | None = None,
        seed: int = 0,
        retention: Retention | None = None,
        stage: int | None = None,
        unfreezing: Unfreezing | None = None,
        never_learning: frozenset[str] = frozenset(),
        beginning: Beginning | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.task, self.labels, self.records = task, labels, records
        self.optimization, self.set_train_mode, self.seed = optimization, set_train_mode, seed
        self.retention = retention or Retention()
        self.stage = () if stage is None else (stage,)
        self.unfreezing, self.never_learning, self.beginning = unfreezing, never_learning, beginning
        self.strict_loading = not never_learning  # else on_load_checkpoint tells what is missing
        self.evaluations: dict[str, Evaluation] = {}
        self.evaluated_split = "test"  # what Trainer.test is given
        self._decoded: list[dict[str, Any]] = []
        self._loss_sum, self._loss_count = 0.0, 0.0
        self._pending: tuple[Tensor, str] | None = None
        self._batch_idx = 0
        self._place = Step(0, 0.0)  # of the batch, for the retention methods

    def forward(self, batch: Batch) -> Any:
        """The network's outputs for a batch, as the task's output kind reads them."""
        if self.beginning is None or STATES not in batch:
            return self.task.output.forward(self.network, batch)
        with self.beginning.given(batch[STATES]):
            return self.task.output.forward(self.network, batch)

    # --- training -------------------------------------------------------------------------------------------

    def on_train_epoch_start(self) -> None:
        # Lightning keeps the mode of submodules, and from_pretrained returns eval mode.
        if self.set_train_mode is not None:
            self.set_train_mode(self.network)
        if self.unfreezing is not None:
            self.unfreezing.apply(self.global_step)

    def on_fit_end(self) -> None:
        if self.unfreezing is not None:
            self.unfreezing.release()  # a stage after this one begins anew

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self._batch_idx = batch_idx  # for hooks that are not told it
        if self.unfreezing is not None and self.unfreezing.due(self.global_step):
            self.on_train_epoch_start()
        # A step's random numbers depend on nothing that came before, so that a resumed run draws the same ones.
        words = np.random.SeedSequence([self.seed, self.current_epoch, batch_idx, self.global_rank, *self.stage])
        seed = int(words.generate_state(1, np.uint64)[0] >> 1)
        # On a CPU the one generator is all there is; torch.manual_seed would look for devices at each step.
        (torch.default_generator if self.device.type == "cpu" else torch.random).manual_seed(seed)
        if self.retention:  # nothing is asked of the trainer where no method wants to know
            self._place = self._step()
            self.retention.before_forward(self._place)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        outputs = self(batch)
        loss = self.task.output.loss(outputs, batch) / batch["normaliser"]
        beside = self.retention.losses(self.network, outputs, batch, self._place)
        total = loss + sum(beside.values()) if beside else loss
        self._note_loss(total.detach(), batch, batch_idx)
        if self._logs_this_step():
            shared = self.trainer.world_size > 1
            self.log("train/loss", loss.detach(), prog_bar=True, sync_dist=shared)
            self.log_dict({f"retention/{n}": term.detach() for n, term in beside.items()}, sync_dist=shared)
            self._log_rates()
        return total

    def on_after_backward(self) -> None:
        self.retention.after_backward(self._place)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.retention.add_gradient(self._place)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.retention:
            self.retention.after_step(self._step(done=1))  # here, because callbacks save before the module's own hook

    def _step(self, done: int = 0) -> Step:
        steps, number = self.optimization.steps if self.optimization is not None else 1, self.global_step + done
        together = self.trainer.accumulate_grad_batches
        batch = number * together + self._batch_idx % together
        scale = self._gradient_scale()
        return Step(number, min(1.0, number / steps), batch, self.global_rank, self.trainer.world_size, scale)

    def _gradient_scale(self) -> float:
        """What gradients are multiplied by before the optimizer's step, where it divides by it itself (fp16)."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is None or not getattr(self.trainer.optimizers[0], "_step_supports_amp_scaling", False):
            return 1.0
        return float(scaler.get_scale())

    def _logs_this_step(self) -> bool:
        """Whether Lightning will write what is logged now: a call to ``log`` costs a per cent of a step."""
        last = self._batch_idx + 1 >= self.trainer.num_training_batches
        every = int(cast(Any, self.trainer).log_every_n_steps)
        return last or (self.global_step + 1) % max(1, every) == 0

    def _log_rates(self) -> None:
        self.log_dict(shown_rates(self.trainer.optimizers[0].param_groups))
        if self.unfreezing is not None:
            self.log("train/frozen_layers", float(self.unfreezing.depth or 0))

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.device.type == "cpu":
            self.check_loss()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.check_loss()  # weights after a NaN must never become a resume point
        checkpoint["state_dict"] = without(checkpoint["state_dict"], self.never_learning, NETWORK)
        checkpoint["retention"] = self.retention.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.never_learning and "state_dict" in checkpoint:
            check_names(checkpoint["state_dict"], self.state_dict(), self.never_learning, NETWORK)
        self.retention.load_state_dict(checkpoint.get("retention", {}))

    def _note_loss(self, loss: Tensor, batch: Batch, batch_idx: int) -> None:
        self.check_loss()  # of the step before: by now a GPU has it ready, and nothing waits
        examples = batch["example"]
        self._pending = (torch.isfinite(loss), f"epoch {self.current_epoch}, batch {batch_idx}")
        self._last_examples = examples

    def check_loss(self) -> None:
        """Raise if the last training loss was NaN or infinite."""
        if self._pending is None:
            return
        finite, place = self._pending
        self._pending = None
        if bool(finite):
            return
        records = self.records("train")
        shown = ", ".join(str(records[int(i)].get("source", records[int(i)]["id"])) for i in self._last_examples[:3])
        raise UserError(
            f"the loss is not a finite number (examples {shown}, …)",
            where=place,
            remedy="The last good checkpoint is kept. Lower optimizer.lr, set trainer.gradient_clip_val=1, or try "
            "trainer.precision=32-true.",
        )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        norm = clip_gradients(self, optimizer, gradient_clip_val, gradient_clip_algorithm)
        if norm is not None and self._logs_this_step():
            self.log("train/grad_norm", norm)

    def configure_optimizers(self) -> Any:
        assert self.optimization is not None, "this module was built for evaluation only"
        return self.optimization.build(self.network)

    # --- evaluation -----------------------------------------------------------------------------------------

    def on_validation_start(self) -> None:
        if self.trainer.state.fn == "fit":
            self.retention.before_evaluation()

    def on_validation_end(self) -> None:
        if self.trainer.state.fn == "fit":  # callbacks have saved the weights that were evaluated
            self.retention.after_evaluation()

    def on_validation_epoch_start(self) -> None:
        self._start_evaluation()

    def on_test_epoch_start(self) -> None:
        self._start_evaluation()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate_batch(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate_batch(batch)

    def on_validation_epoch_end(self) -> None:
        self._finish_evaluation("validation", choose=True)

    def on_test_epoch_end(self) -> None:
        self._finish_evaluation(self.evaluated_split)

    def _start_evaluation(self) -> None:
        self._decoded, self._loss_sum, self._loss_count = [], 0.0, 0.0

    def _evaluate_batch(self, batch: Batch) -> None:
        outputs = self(batch)
        self._loss_sum += float(self.task.output.loss(outputs, batch))
        self._loss_count += float(batch["n_labels"].sum())
        self._decoded.append(self.task.output.decode(outputs, batch))

    def _finish_evaluation(self, split: str, choose: bool = False) -> None:
        decoded, loss_sum, loss_count = self._from_all_ranks()
        records = self.records(split)
        predictions = self.task.output.assemble(records, decoded, self.labels)
        if choose and self.task.choose is not None:
            self.task.choose(self.network, records, predictions)
            predictions = self.task.output.assemble(records, decoded, self.labels)
        evaluation = self.task.evaluate(split, records, predictions, self.labels)
        evaluation.metrics["loss"] = loss_sum / max(loss_count, 1.0)
        self.evaluations[split] = evaluation
        # Every rank has computed the same numbers from the same answers: nothing is left to average.
        self.log_dict({f"{split}/{name}": float(value) for name, value in evaluation.metrics.items()})

    def _from_all_ranks(self) -> tuple[list[dict[str, Any]], float, float]:
        own = (self._decoded, self._loss_sum, self._loss_count)
        if self.trainer.world_size == 1:
            return own
        parts: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(parts, own)
        return (
            [piece for decoded, _, _ in parts for piece in decoded],
            sum(part[1] for part in parts),
            sum(part[2] for part in parts),
        )
