"""Matrix products of a linear layer in a low precision, shaped so that no thread of a small CPU idles."""

from collections.abc import Sequence

import torch
from torch import Tensor

# oneDNN leaves a product with few rows and fewer columns than summands to a single thread (measured on two threads:
# 640 x 1,536 x 384 runs at 0.8 TFLOP/s, and at 1.5 as two products of half the rows). From so many rows on it does not.
_MANY_ROWS = 1024
_ROW_BLOCK = 16  # of AMX


class Matrix:
    """A working copy of a linear layer's weight (columns_out, columns_in), at a fixed address.

    Memory asked anew for each step would fragment the heap. Where products run as two halves each has a copy of its
    own, because a batched product of one repeated matrix would copy it each time.
    """

    def __init__(self, columns_out: int, columns_in: int, dtype: torch.dtype) -> None:
        halves = 2 if columns_out != columns_in and torch.get_num_threads() > 1 else 1
        self._copies = torch.empty(halves, columns_out, columns_in, dtype=dtype)
        self._flipped = self._copies.transpose(1, 2)

    def refresh(self, parts: Sequence[Tensor]) -> None:
        """Copy the weight, which may come as several parts one below the other."""
        first = self._copies[0]
        if len(parts) == 1:
            first.copy_(parts[0])
        else:
            torch._foreach_copy_(first.chunk(len(parts)), list(parts))
        if len(self._copies) > 1:
            self._copies[1].copy_(first)

    def apply(self, rows: Tensor, bias: Tensor) -> Tensor:
        """``rows @ weight.T + bias``: (n, columns_in) to (n, columns_out)."""
        if self._as_halves(rows, self._flipped):
            return _halves(rows, self._flipped).add_(bias)
        return torch.addmm(bias, rows, self._flipped[0])

    def pull_back(self, grad: Tensor) -> Tensor:
        """The gradient of :meth:`apply` for its rows: (n, columns_out) to (n, columns_in)."""
        if self._as_halves(grad, self._copies):
            return _halves(grad, self._copies)
        return torch.mm(grad, self._copies[0])

    def _as_halves(self, rows: Tensor, matrices: Tensor) -> bool:
        few = rows.shape[0] < _MANY_ROWS and rows.shape[0] % (2 * _ROW_BLOCK) == 0
        return few and len(matrices) > 1 and matrices.shape[2] < matrices.shape[1]


def _halves(rows: Tensor, matrices: Tensor) -> Tensor:
    pair = rows.view(2, rows.shape[0] // 2, rows.shape[1])
    return torch.bmm(pair, matrices).view(rows.shape[0], matrices.shape[2])
