"""Batches of general text, each a function of a step's number alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

Places = Tensor  # (rows,), the numbers of the texts in a batch


@dataclass(frozen=True)
class TextBatches:
    """Texts as token ids, dealt out in batches of similar length.

    Attributes:
        rows: token ids of each text, special tokens included.
        size: texts in a batch.
        pad_id: fills a row up on the right.
        seed: of the order, which is another one in each pass over the texts.
        device: on which batches are made.
    """

    rows: Sequence[Sequence[int]]
    size: int
    pad_id: int
    seed: int
    device: torch.device = torch.device("cpu")

    def at(self, batch: int, rank: int = 0, world: int = 1) -> tuple[Places, dict[str, Tensor]]:
        """The general texts beside a batch of the task's, of one of ``world`` processes."""
        number = batch * world + rank
        chunks = self._chunks
        turn, place = divmod(number, len(chunks))
        order = np.random.default_rng([self.seed, turn]).permutation(len(chunks))
        return self._batch(chunks[order[place]])

    def in_order(self) -> Iterator[tuple[Places, dict[str, Tensor]]]:
        """Every text once."""
        for chunk in self._chunks:
            yield self._batch(chunk)

    def first(self, texts: int) -> "TextBatches":
        """The same of the first texts only."""
        return replace(self, rows=self.rows[:texts])

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _chunks(self) -> list[np.ndarray]:
        by_length = np.argsort([len(row) for row in self.rows], kind="stable")
        return np.array_split(by_length, max(1, -(-len(by_length) // self.size)))

    def _batch(self, chunk: np.ndarray) -> tuple[Places, dict[str, Tensor]]:
        rows = [self.rows[place] for place in chunk]
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), self.pad_id, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        batch = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
        return torch.from_numpy(chunk), batch
