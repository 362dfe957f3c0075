"""Dropout whose random numbers cost little on a CPU."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_ONE_IN_BF16 = 0x3F80  # the bit pattern of 1.0
_HALF_RANGE, _RANGE = 2**15, 2**16


class _FromTorch(np.random.bit_generator.ISeedSequence):
    """Seeds of torch's default generator, which need no mixing as a ``SeedSequence`` does it."""

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        return torch.empty(n_words, dtype=torch.int64).random_().numpy().astype(dtype)


class MaskSource:
    """A stream of keep masks, seeded by torch's default generator.

    ``bernoulli_`` spends several nanoseconds on each element, on one thread; SFC64 a fraction of one on a 16-bit word.
    The seed comes from the default generator, hence ``torch.manual_seed`` before a step makes the step's masks
    reproducible. The rate is exact to 1 / 65,536.
    """

    def __init__(self) -> None:
        self._generator = np.random.SFC64(_FromTorch())  # type: ignore[arg-type]  # numpy asks for less than it says

    def keep(self, shape: tuple[int, ...] | torch.Size, rate: float, dtype: torch.dtype) -> Tensor:
        """A mask of ``shape`` with 0 where an element is dropped (probability ``rate``) and 1 elsewhere."""
        size = math.prod(shape)
        words = self._generator.random_raw((size + 3) // 4).view(np.int16)
        bits = torch.from_numpy(words)[:size]
        # Uniform over [-2^15, 2^15): the words below the threshold are dropped. Clamping to two neighbours and
        # moving them to 0 and 1 stays in vectorised 16-bit arithmetic, where a comparison would go through bool.
        threshold = min(round(rate * _RANGE) - _HALF_RANGE, _HALF_RANGE - 1)
        if threshold == -_HALF_RANGE:
            return torch.ones(shape, dtype=dtype)
        bits.clamp_(threshold - 1, threshold).sub_(threshold - 1)
        if dtype == torch.bfloat16:
            return bits.mul_(_ONE_IN_BF16).view(torch.bfloat16).view(shape)
        return bits.to(dtype).view(shape)


class FastDropout(nn.Dropout):
    """``nn.Dropout`` with masks from :class:`MaskSource` on a CPU; elsewhere, and in eval mode, the plain one."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0.0 or self.p >= 1.0 or input.device.type != "cpu":
            return super().forward(input)
        return input * MaskSource().keep(input.shape, self.p, input.dtype).div_(1.0 - self.p)


def replace_dropout(network: nn.Module) -> int:
    """Let every plain ``nn.Dropout`` of ``network`` draw its masks fast; returns how many were changed."""
    found = [module for module in network.modules() if type(module) is nn.Dropout and not module.inplace]
    for module in found:
        module.__class__ = FastDropout
    return len(found)
