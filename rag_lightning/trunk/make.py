"""The states of a split, computed by the network that will use them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rag_lightning.encoding.batches import by_budget
from rag_lightning.encoding.cache import EncodedSplit
from rag_lightning.encoding.loader import STATES, EncodedDataset
from rag_lightning.trunk.begin import Beginning
from rag_lightning.trunk.states import PackedStates, starts_of

BUDGET = 4096  # padded tokens in a batch; fixed, so that states that are made again are the same, bit for bit
_CLOSE = {torch.bfloat16: 0.1, torch.float32: 0.02}  # relative; states of another text are far beyond


@dataclass(frozen=True)
class Maker:
    """How a network says something of a batch.

    Attributes:
        beginning: the network, and the layer at which it can begin.
        forward: the task's, of a batch on the device.
        device, precision: where and how it trains; Lightning's precision flag.
    """

    beginning: Beginning
    forward: Callable[[dict[str, Tensor]], Any]
    device: torch.device
    precision: str

    def states(self, batch: dict[str, Tensor]) -> Tensor:
        """What the frozen layers say of a batch, (rows, tokens, width)."""
        moved = self._moved(batch)
        with self._arithmetic():
            return self.beginning.states(lambda: self.forward(moved))

    @torch.no_grad()
    def agrees(self, dataset: EncodedDataset, packed: PackedStates, row: int) -> bool:
        """Whether the network answers alike with and without its kept states; in eval mode."""
        moved = self._moved(dataset.__getitems__([row]))
        moved.pop(STATES, None)
        with self._arithmetic():
            whole = self.forward(moved)
            with self.beginning.given(packed.gather([row]).to(self.device)):
                begun = self.forward(moved)
        if not isinstance(whole, Tensor):
            return False
        difference, size = (begun - whole).float().norm(), whole.float().norm()
        return bool(difference <= _CLOSE[packed.values.dtype] * size)

    def _moved(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: each.to(self.device) for name, each in batch.items()}

    def _arithmetic(self) -> AbstractContextManager[Any]:
        if not self.precision.endswith("-mixed"):
            return nullcontext()
        dtype = torch.bfloat16 if self.precision.startswith("bf16") else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)


def fill(maker: Maker, dataset: EncodedDataset, title: str, packed: PackedStates) -> None:
    """Put the states of all rows of a split into ``packed``; ``title`` is shown where it takes long."""
    from rich.progress import track

    lengths = np.diff(packed.starts)
    batches = by_budget(lengths, np.argsort(-lengths, kind="stable"), BUDGET)
    for each in track(batches, title, transient=True, disable=len(batches) < 100):
        rows = [int(row) for row in each]
        packed.put(rows, maker.states(dataset.__getitems__(rows)).to("cpu", packed.values.dtype))


def lengths_of(split: EncodedSplit) -> np.ndarray:
    """Tokens of each row."""
    return np.concatenate([np.diff(chunk.offsets.to_numpy()) for chunk in split.table.column("input_ids").chunks])


def starts(split: EncodedSplit) -> np.ndarray:
    """Where each row begins in the packed array."""
    return starts_of(lengths_of(split))
