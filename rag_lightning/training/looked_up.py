"""Which rows of the table of words a training looks up, so that the others may rest."""

from typing import Any

import numpy as np
import torch

from rag_lightning.encoding.datamodule import GuidedDataModule
from rag_lightning.retention.build import GeneralRows
from rag_lightning.tasks.task import Task

EVALUATED = ("validation", "test")


def rows_may_rest(task: Task, optimizer: dict[str, Any]) -> bool:
    """Whether a row without gradient only decays: not with L2 in the gradient, nor with factored moments.

    Where words are masked, masks and random words are looked up too, which are in no row.
    """
    if task.output.head == "masked_tokens":
        return False
    kind = str(optimizer.get("_target_"))
    return kind == "torch.optim.AdamW" or (
        kind in ("torch.optim.Adam", "torch.optim.SGD") and not optimizer.get("weight_decay")
    )


def training_ids(data: GuidedDataModule, config: Any, general: GeneralRows | None) -> torch.Tensor:
    """The ids that training looks up in the table of words; a decoder looks up what it writes, behind its start."""
    names = ("input_ids", "labels") if data.task.output.head == "text" else ("input_ids",)
    tables = [split.table for name, split in data.splits.items() if name not in EVALUATED]
    chunks = [chunk for table in tables for name in names for chunk in table.column(name).chunks]
    ids = (data.words.tokenizer.pad_token_id, config.pad_token_id, getattr(config, "decoder_start_token_id", None))
    beside = [each for each in ids if each is not None]
    if general is not None:
        beside += {each for row in (*general.rows, general.special_ids) for each in row}
    found = np.unique(np.concatenate([*(np.unique(chunk.values.to_numpy()) for chunk in chunks), beside]))
    return torch.from_numpy(found[found >= 0].astype(np.int64))
