"""Answer alike when the input's embeddings are shaken a little at random: R3F (Aghajanyan et al. 2021).

So hidden states need not collapse ("Better Fine-Tuning by Reducing Representational Collapse"). Both passes see the
same dropout: what is compared is the noise alone.
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


class R3FOptions(Weighted):
    weight: float = Field(1.0, ge=0, description="of the symmetric divergence between both answers")
    noise: float = Field(1e-5, gt=0, description="largest change of an embedding's element")
    kind: Literal["normal", "uniform"] = Field("uniform", description="of the noise that is drawn")
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


class R3F(Hooks):
    def __init__(self, options: R3FOptions, setting: Setting) -> None:
        self.options, self.forward = options, setting.forward
        self.embedding = setting.network.get_input_embeddings()
        self.device = next(setting.network.parameters()).device
        self._before = _random_state(self.device)

    def before_forward(self, step: Step) -> None:
        if self.options.in_force:
            self._before = _random_state(self.device)

    def loss(self, network: Any, outputs: Any, batch: Batch, step: Step) -> Tensor | None:
        weight = self.options.weight_at(step.progress)
        if not weight or step.number % self.options.every:
            return None
        mask = batch["attention_mask"].bool() if outputs.ndim == 3 else torch.ones_like(outputs[:, 0], dtype=torch.bool)
        shape = (*batch["input_ids"].shape, self.embedding.weight.shape[1])
        drawn = self.drawn(torch.empty(shape, device=outputs.device))
        noise = self.noise(network, outputs.detach(), batch, mask, drawn)
        return weight * symmetric_divergence(outputs, self.shaken_answer(network, batch, noise), mask)

    def noise(self, network: Any, outputs: Tensor, batch: Batch, mask: Tensor, drawn: Tensor) -> Tensor:
        """What the embeddings are shaken by (rows, tokens, width)."""
        return drawn

    def shaken_answer(self, network: Any, batch: Batch, noise: Tensor) -> Any:
        """The outputs with the dropout of the pass that they are compared with."""
        now = _random_state(noise.device)
        _set_random_state(noise.device, self._before)
        with shaken(self.embedding, noise):
            answer = self.forward(network, batch)
        _set_random_state(noise.device, now)
        return answer

    def drawn(self, empty: Tensor) -> Tensor:
        size = self.options.noise
        return empty.uniform_(-size, size) if self.options.kind == "uniform" else empty.normal_(std=size)


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_random_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


@contextmanager
def shaken(embedding: nn.Module, noise: Tensor) -> Iterator[None]:
    """Within the block ``noise`` (rows, tokens, width) is added to what ``embedding`` gives."""
    handle = embedding.register_forward_hook(lambda module, inputs, output: output + noise.to(output.dtype))
    try:
        yield
    finally:
        handle.remove()


def check(options: R3FOptions, situation: Situation) -> None:
    """Refuse where there are no logits to compare."""
    if situation.head not in _HEADS:
        raise UserError(
            "smoothness compares the scores of labels, which this task does not give",
            where="retention",
            remedy="Use it for labels of words or texts (ner, classification, relation, matching with encoder=cross).",
        )


METHOD = Method(R3FOptions, R3F, check, changes_input=True)
