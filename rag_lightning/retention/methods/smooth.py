"""Answer alike when the input's embeddings are shaken a little, so that hidden states need not collapse.

With ``ascent=0`` the noise is random, as in R3F (Aghajanyan et al. 2021, "Better Fine-Tuning by Reducing
Representational Collapse"); with 1 it is turned to where the answer changes most, as in SMART (Jiang et al. 2020).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rag_lightning.errors import UserError
from rag_lightning.retention.method import Batch, Hooks, Method, Step, Weighted
from rag_lightning.retention.setting import Setting, Situation

_HEADS = ("token_labels", "sequence_label", "entity_pair")


class SmoothOptions(Weighted):
    weight: float = Field(1.0, ge=0, description="of the symmetric divergence between both answers")
    noise: float = Field(1e-5, gt=0, description="largest change of an embedding's element")
    kind: Literal["normal", "uniform"] = Field("uniform", description="of the noise that is drawn")
    ascent: Literal[0, 1] = Field(0, description="1: a step of gradient ascent turns the noise to the worst direction")
    every: int = Field(1, ge=1, description="only in each n-th step, to save time")


def symmetric_divergence(one: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """KL(one, other) + KL(other, one) of the distributions of logits (…, labels), mean over places in ``mask`` (…).

    A single score instead of logits is compared by its square, as in the papers.
    """
    if one.shape[-1] == 1:
        return ((one - other) ** 2)[mask].mean()
    first, second = F.log_softmax(one.float(), -1), F.log_softmax(other.float(), -1)
    both = (first.exp() - second.exp()) * (first - second)
    return both.sum(-1)[mask].mean()


class Smooth(Hooks):
    def __init__(self, options: SmoothOptions, setting: Setting) -> None:
        self.options, self.forward = options, setting.forward
        self.embedding = setting.network.get_input_embeddings()

    def loss(self, network: Any, outputs: Any, batch: Batch, step: Step) -> Tensor | None:
        weight = self.options.weight_at(step.progress)
        if not weight or step.number % self.options.every:
            return None
        mask = batch["attention_mask"].bool() if outputs.ndim == 3 else torch.ones_like(outputs[:, 0], dtype=torch.bool)
        shape = (*batch["input_ids"].shape, self.embedding.weight.shape[1])
        noise = self._drawn(torch.empty(shape, device=outputs.device))
        if self.options.ascent:
            noise = self._worst(network, outputs.detach(), batch, mask, noise)
        with shaken(self.embedding, noise):
            other = self.forward(network, batch)
        return weight * symmetric_divergence(outputs, other, mask)

    def _drawn(self, empty: Tensor) -> Tensor:
        size = self.options.noise
        return empty.uniform_(-size, size) if self.options.kind == "uniform" else empty.normal_(std=size)

    def _worst(self, network: Any, outputs: Tensor, batch: Batch, mask: Tensor, noise: Tensor) -> Tensor:
        noise.requires_grad_(True)
        with shaken(self.embedding, noise):
            divergence = symmetric_divergence(outputs, self.forward(network, batch), mask)
        (uphill,) = torch.autograd.grad(divergence, noise)
        largest = uphill.abs().amax(dim=-1, keepdim=True).clamp_min(1e-20)
        return (noise.detach() + self.options.noise * uphill / largest).clamp_(-self.options.noise, self.options.noise)


@contextmanager
def shaken(embedding: nn.Module, noise: Tensor) -> Iterator[None]:
    """Within the block ``noise`` (rows, tokens, width) is added to what ``embedding`` gives."""
    handle = embedding.register_forward_hook(lambda module, inputs, output: output + noise.to(output.dtype))
    try:
        yield
    finally:
        handle.remove()


def check(options: SmoothOptions, situation: Situation) -> None:
    """Refuse where there are no logits to compare."""
    if situation.head not in _HEADS:
        raise UserError(
            "smoothness compares the scores of labels, which this task does not give",
            where="retention.smooth",
            remedy="Use it for labels of words or texts (ner, classification, relation, matching with encoder=cross).",
        )


METHOD = Method(SmoothOptions, Smooth, check)
