"""States of many inputs as one memory-mapped array without padding, gathered a batch at a time."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedStates:
    """What frozen layers say of a split's inputs.

    Attributes:
        values: (tokens of all inputs, width), memory-mapped; one input behind the other, in the order of the rows.
        starts: (rows + 1,), where each input begins.
        dtype: in which the layers gave them, which is how they are handed on.
    """

    values: Tensor
    starts: np.ndarray
    dtype: torch.dtype

    def gather(self, rows: list[int]) -> Tensor:
        """The states of these rows, padded by zeros behind each: (rows, the longest's tokens, width)."""
        first = self.starts[rows]
        lengths = self.starts[np.asarray(rows) + 1] - first
        longest = int(lengths.max())
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = torch.from_numpy(np.repeat(first, lengths) + within)
        target = torch.from_numpy(np.repeat(np.arange(len(rows)) * longest, lengths) + within)
        width = self.values.shape[1]
        padded = self.values.new_zeros(len(rows) * longest, width)
        padded.index_copy_(0, target, self.values.index_select(0, source))
        return padded.view(len(rows), longest, width).to(self.dtype)

    def put(self, rows: list[int], states: Tensor) -> None:
        """Take in the states (rows, tokens, width) of these rows; what is behind a row's end is padding."""
        for row, each in zip(rows, states, strict=True):
            start, end = int(self.starts[row]), int(self.starts[row + 1])
            self.values[start:end] = each[: end - start]


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Where each of so many tokens begins, and behind the last where it ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def mapped(file: Path, tokens: int, width: int, dtype: torch.dtype, *, writes: bool = False) -> Tensor:
    """A file of numbers as a tensor (tokens, width) that is read when it is looked at.

    Args:
        writes: what is put into the tensor goes to the file.
    """
    if not tokens:
        return torch.zeros(0, width, dtype=dtype)
    return torch.from_file(str(file), shared=writes, size=tokens * width, dtype=dtype).view(tokens, width)
