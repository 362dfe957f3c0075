"""A label for two texts by their vectors: a linear layer over both and their difference."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NAME = "pair_head"  # of the submodule, hence of its weights in a saved model
_SPREAD = 0.02


class PairHead(nn.Module):
    """Scores of labels over ``(u, v, |u - v|)`` (Reimers & Gurevych 2019, "Sentence-BERT", section 3).

    Its first weights are the same in every process, whatever was drawn before.

    Args:
        width: of a vector.
        n_labels: of the scores.
    """

    def __init__(self, width: int, n_labels: int) -> None:
        super().__init__()
        drawn = torch.randn(n_labels, 3 * width, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(_SPREAD * drawn)
        self.bias = nn.Parameter(torch.zeros(n_labels))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(rows, width) twice to (rows, labels)."""
        both = torch.cat([first, second, (first - second).abs()], dim=-1)
        return F.linear(both.to(self.weight.dtype), self.weight, self.bias)
