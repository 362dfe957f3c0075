"""Answer alike when the input's embeddings are shaken in the worst direction: SMART (Jiang et al. 2020).

The noise of :mod:`rag_lightning.retention.methods.r3f` takes one step of gradient ascent to where the answer changes
most; this is the smoothness-inducing part of the paper, without its proximal point updates.
"""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from rag_lightning.retention.method import Batch, Method
from rag_lightning.retention.methods.r3f import R3F, R3FOptions, check, symmetric_divergence

_LEAST = 1e-20  # where the answer does not change at all


class SmartOptions(R3FOptions):
    kind: Literal["normal", "uniform"] = Field("normal", description="of the noise from which the ascent begins")


class Smart(R3F):
    """As R3F, with noise that was turned to where the answer changes most."""

    def noise(self, network: Any, outputs: Tensor, batch: Batch, mask: Tensor, drawn: Tensor) -> Tensor:
        drawn.requires_grad_(True)
        divergence = symmetric_divergence(outputs, self.shaken_answer(network, batch, drawn), mask)
        (uphill,) = torch.autograd.grad(divergence, drawn)
        largest = uphill.abs().amax(dim=-1, keepdim=True).clamp_min(_LEAST)
        size = self.options.noise
        return (drawn.detach() + size * uphill / largest).clamp_(-size, size)


METHOD = Method(SmartOptions, Smart, check, changes_input=True)
