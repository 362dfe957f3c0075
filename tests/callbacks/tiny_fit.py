"""The smallest fit that logs what the real module logs."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch.utils.data import DataLoader

# What Lightning says about a loader without workers, a folder that is not empty and the like.
QUIET = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
]
LENGTHS = ([5, 3], [2, 2], [7, 1], [4, 4], [6, 2], [3, 3])  # real tokens of the two examples of each batch


class TinyModule(LightningModule):
    """Logs under the names of the project's module; validation scores rise, then fall."""

    def __init__(self, scores: tuple[float, ...] = (0.2, 0.9, 0.4)) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)
        self.scores = scores

    def training_step(self, batch: Mapping[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch["attention_mask"].float()).pow(2).mean()
        self.log("train/loss", loss)
        self.log("lr", 0.1)
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.log("train/grad_norm", 1.5)

    def validation_step(self, batch: Mapping[str, torch.Tensor], batch_idx: int) -> None:
        self.log("validation/loss", 0.5, batch_size=2)

    def on_validation_epoch_end(self) -> None:
        score = self.scores[self.current_epoch % len(self.scores)]
        self.log("validation/f1", score)
        self.log("validation/ORT/f1", score / 2)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader() -> DataLoader[Any]:
    masks = [torch.tensor([[1] * n + [0] * (8 - n) for n in pair]) for pair in LENGTHS]
    data: Any = [{"attention_mask": mask} for mask in masks]
    return DataLoader(data, batch_size=None)


def trainer(**options: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "max_epochs": 3,
        "log_every_n_steps": 2,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 1,
    }
    return Trainer(**{**defaults, **options})
