"""Which rows go together: batches of similar length under a budget of padded tokens."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from rag_lightning.encoding.budget import Rows, by_budget


def rounded_lengths(lengths: np.ndarray) -> np.ndarray:
    """Lengths rounded up by at most a sixteenth: rows that count as equally long are mixed anew every epoch."""
    step = np.maximum(1, lengths // 16)
    return -(-lengths // step) * step


class BatchPlan(Sampler[list[int]]):
    """The batches of every epoch, the same on every machine for a seed; resumable at any batch.

    Batches are cut on rounded lengths, so that their number is the same in every epoch. Over several devices every
    batch is dealt out row by row: the number of devices changes the speed and not the result.

    Args:
        lengths: tokens of each row.
        budget: padded tokens in a batch (over all devices).
        shuffle: new batches in a new order every epoch; False for evaluation, where each device takes every
            n-th row, so that each row is seen exactly once.
        by_length: rows of similar length together.
    """

    def __init__(
        self, lengths: np.ndarray, budget: int, *, shuffle: bool, by_length: bool, seed: int,
        rank: int = 0, world_size: int = 1,
    ) -> None:  # fmt: skip
        self.lengths, self.budget = lengths, budget
        self.shuffle, self.by_length, self.seed = shuffle, by_length, seed
        self.rank, self.world_size = rank, world_size
        self.epoch, self.start = 0, 0
        self.sampler = self  # Lightning announces the epoch to a batch sampler's `sampler`
        self._count = len(self.batches())

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def batches(self) -> list[Rows]:
        """This epoch's batches as row numbers: in training of all devices, in evaluation of this one."""
        if not len(self.lengths):  # no labelled example
            return []
        if not self.shuffle:
            order = np.argsort(-self.lengths, kind="stable") if self.by_length else np.arange(len(self.lengths))
            return by_budget(self.lengths, order[self.rank :: self.world_size], self.budget)
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        if not self.by_length:
            # A fixed number of rows: a budget would cut another number of batches in every order.
            size = max(1, int(self.budget / max(1.0, float(self.lengths.mean()))))
            return [order[i : i + size] for i in range(0, len(order), size)]
        rounded = rounded_lengths(self.lengths)
        batches = by_budget(rounded, order[np.argsort(rounded[order], kind="stable")], self.budget)
        return [batches[i] for i in rng.permutation(len(batches))]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        batches = self.batches()
        start, self.start = self.start, 0
        for batch in batches[start:]:
            yield [int(row) for row in batch]
