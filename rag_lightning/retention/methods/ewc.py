"""Hold each weight as firmly as the pretrained model needs it: elastic weight consolidation (Kirkpatrick et al. 2017).

The Fisher information is estimated on general text, of what the pretrained model itself says there: of words drawn
from its own predictions where it writes, else of its mean hidden state (a Gauss-Newton diagonal by random projections).
"""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from rag_lightning.model.pooling import masked_mean
from rag_lightning.retention.method import Hooks, Method, Step, Weighted, with_gradient
from rag_lightning.retention.setting import (
    WRITING_HEADS,
    Setting,
    active_rows,
    in_eval,
    last_hidden,
    needs_pretrained_weights,
)

Tensors = Sequence[Tensor]


class EWCOptions(Weighted):
    weight: float = Field(0.1, ge=0, description="lambda: the term is lambda/2 times the Fisher-weighted distance")
    texts: int = Field(200, ge=1, description="general texts on which the Fisher information is estimated")


def ewc_penalty(weights: Tensors, start: Tensors, fisher: Tensors, strength: float) -> Tensor:
    """strength/2 times the sum of ``fisher`` x (weight - start)^2, a scalar."""
    terms = zip(weights, start, fisher, strict=True)
    return strength / 2 * torch.stack([(held * (weight - begun) ** 2).sum() for weight, begun, held in terms]).sum()


@torch.no_grad()
def add_ewc_gradient(weights: Tensors, start: Tensors, fisher: Tensors, strength: float) -> None:
    """Add the gradient of :func:`ewc_penalty` to each weight's ``grad``."""
    away = list(torch._foreach_sub(list(weights), list(start)))
    torch._foreach_mul_(away, list(fisher))
    torch._foreach_add_([weight.grad for weight in weights if weight.grad is not None], away, alpha=strength)


def estimate_fisher(setting: Setting, texts: int) -> dict[str, Tensor]:
    """The diagonal of the Fisher information by parameter name, scaled so that its mean over all of them is 1."""
    learning, batches = setting.learning, setting.batches(1).first(texts)
    fisher = {name: torch.zeros_like(each) for name, each in learning.items()}
    back = in_eval(setting.network)
    devices = sorted({each.device.index for each in learning.values() if each.is_cuda})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)  # the same for all runs, which share the result
        for _, batch in batches.in_order():
            gradients = torch.autograd.grad(_own_words(setting, batch), list(learning.values()), allow_unused=True)
            for name, gradient in zip(learning, gradients, strict=True):
                if gradient is not None:
                    fisher[name] += gradient.float() ** 2
    back()
    mean = sum(each.sum() for each in fisher.values()) / sum(each.numel() for each in fisher.values())
    return {name: each / mean for name, each in fisher.items()}


def _own_words(setting: Setting, batch: dict[str, Tensor]) -> Tensor:
    """A scalar whose squared gradient is a sample of the Fisher information."""
    if setting.situation.head in WRITING_HEADS and not setting.network.config.is_encoder_decoder:
        logits: Tensor = setting.network(**batch).logits.float()
        drawn = torch.distributions.Categorical(logits=logits.detach()).sample()
        return F.cross_entropy(logits.flatten(0, 1), drawn.flatten(), reduction="sum")
    mean = masked_mean(last_hidden(setting.backbone, batch), batch["attention_mask"])
    return (mean * torch.randn_like(mean)).sum()


class EWC(Hooks):
    def __init__(self, options: EWCOptions, setting: Setting) -> None:
        self.options, names = options, list(setting.learning)
        start = setting.start(names)
        shapes = {name: list(each.shape) for name, each in setting.learning.items()}
        known: dict[str, Any] = {"texts": options.texts, "shapes": shapes, "rows": active_rows(setting.network)}
        fisher: dict[str, Tensor] = {}
        if options.weight:
            fisher = setting.remembered("fisher", known, lambda: estimate_fisher(setting, options.texts))
        self.triples: list[tuple[Tensor, ...]] = [
            (setting.learning[name], start[name], fisher[name]) for name in names if name in fisher
        ]

    def add_gradient(self, step: Step) -> None:
        strength = self.options.weight_at(step.progress)
        if strength and (triples := with_gradient(self.triples)):
            weights, start, fisher = zip(*triples, strict=True)
            add_ewc_gradient(weights, start, fisher, strength * step.gradient_scale)

    def held(self) -> list[Tensor]:
        return [each for _, *rest in self.triples for each in rest]


METHOD = Method(EWCOptions, EWC, needs_pretrained_weights, reads_text=True)
