"""From encoded rows to padded tensors, by a loader that knows its position."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rag_lightning.encoding.batches import BatchPlan
from rag_lightning.encoding.cache import EncodedSplit
from rag_lightning.encoding.padding import padded
from rag_lightning.trunk.states import PackedStates

UNLABELLED = -100  # torch's default for labels that count in no loss
STATES = "states"  # the column of what frozen layers say of the rows


class EncodedDataset(Dataset[dict[str, torch.Tensor]]):
    """Rows of an :class:`EncodedSplit`, taken a batch at a time.

    A batch holds every column, ``attention_mask``, and ``normaliser``: the labels of the batch over all devices,
    divided by the number of devices, so that averaged gradients are those of one device with the whole batch.
    Where frozen layers' states are kept, :data:`STATES` (rows, tokens, width) is in it.
    """

    def __init__(
        self,
        split: EncodedSplit,
        padding: dict[str, int],
        *,
        deal_out: bool = False,
        rank: int = 0,
        world_size: int = 1,
        states: PackedStates | None = None,
    ) -> None:
        self.split, self.padding, self.states = split, padding, states
        self.share = (rank, world_size) if deal_out else (0, 1)
        self._chunks: dict[str, list[Any]] = {}
        starts = [0]
        for chunk in split.table.column("input_ids").chunks:
            starts.append(starts[-1] + len(chunk))
        self._starts = np.array(starts)
        for name in split.table.column_names:
            self._chunks[name] = [_views(chunk) for chunk in split.table.column(name).chunks]

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, rows: list[int]) -> dict[str, torch.Tensor]:
        rank, world_size = self.share
        own, absent = rows[rank::world_size], False
        if not own:  # fewer rows than devices: a copy without labels keeps the devices in step
            own, absent = rows[:1], True
        batch = self._collate(own)
        if absent and "labels" in batch:
            batch["labels"] = torch.full_like(batch["labels"], UNLABELLED)
        total = float(self.split.n_labels[rows].sum()) / world_size
        batch["normaliser"] = torch.tensor(max(total, 1.0))
        if self.states is not None:
            batch[STATES] = self.states.gather(own)
        return batch

    def _collate(self, rows: list[int]) -> dict[str, torch.Tensor]:
        chunks = np.searchsorted(self._starts, rows, side="right") - 1
        inside = np.asarray(rows) - self._starts[chunks]
        columns: dict[str, list[Any]] = {}
        for name, views in self._chunks.items():
            if isinstance(views[0], tuple):
                pieces = [(*views[chunk], row) for chunk, row in zip(chunks, inside, strict=True)]
                columns[name] = [values[offsets[row] : offsets[row + 1]] for offsets, values, row in pieces]
            else:
                columns[name] = [views[chunk][row].item() for chunk, row in zip(chunks, inside, strict=True)]
        return pad_columns(columns, self.padding)


def pad_columns(columns: dict[str, list[Any]], padding: dict[str, int]) -> dict[str, torch.Tensor]:
    """Rows as tensors: columns in ``padding`` to (rows, the column's longest row), plain ones to (rows,).

    Added is ``attention_mask``, of ``input_ids``.
    """
    arrays = padded({name: columns[name] for name in columns if name in padding or name == "input_ids"}, padding)
    # What is not padded is left to torch, whose default for fractions is float32.
    return {
        name: torch.from_numpy(arrays[name]) if name in arrays else torch.tensor(columns[name])
        for name in [*columns, "attention_mask"]
    }


def _views(chunk: Any) -> Any:
    """Zero-copy views of a chunk: (offsets, values) of a list column, the values of a plain one."""
    if hasattr(chunk, "offsets"):
        return chunk.offsets.to_numpy(), chunk.values.to_numpy()
    return chunk.to_numpy()


def _as_is(batch: Any) -> Any:
    return batch


class ResumableLoader(DataLoader[Any]):
    """A loader whose position is part of a checkpoint: training goes on at the very next batch."""

    def __init__(self, dataset: EncodedDataset, plan: BatchPlan, workers: int = 0) -> None:
        self.position = 0
        super().__init__(
            dataset,
            batch_sampler=plan,
            collate_fn=_as_is,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
        )
        self.plan = plan

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.position = self.plan.start
        for batch in super().__iter__():
            self.position += 1
            yield batch
        self.position = 0

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position, "epoch": self.plan.epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.plan.start = state["position"] if state["position"] < len(self.plan) else 0
        self.plan.epoch = state["epoch"]
