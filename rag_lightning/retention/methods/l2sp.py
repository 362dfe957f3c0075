"""Pull the weights to where pretraining left them: L2-SP (Li, Grandvalet and Davoine 2018)."""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from rag_lightning.retention.method import Hooks, Method, Step, Weighted, with_gradient
from rag_lightning.retention.setting import Setting, needs_pretrained_weights


class L2SPOptions(Weighted):
    weight: float = Field(0.1, ge=0, description="alpha: the term is alpha/2 times the squared distance")


def l2sp_penalty(weights: Sequence[Tensor], start: Sequence[Tensor], alpha: float) -> Tensor:
    """alpha/2 times the squared distance of ``weights`` from ``start``, a scalar."""
    squares = [((weight - begun) ** 2).sum() for weight, begun in zip(weights, start, strict=True)]
    return alpha / 2 * torch.stack(squares).sum()


@torch.no_grad()
def add_l2sp_gradient(weights: Sequence[Tensor], start: Sequence[Tensor], alpha: float) -> None:
    """Add the gradient of :func:`l2sp_penalty` to each weight's ``grad``, in place and without a graph."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    torch._foreach_add_(gradients, list(weights), alpha=alpha)
    torch._foreach_add_(gradients, list(start), alpha=-alpha)


class L2SP(Hooks):
    def __init__(self, options: L2SPOptions, setting: Setting) -> None:
        self.options, names = options, list(setting.learning)
        start = setting.start(names)
        self.pairs: list[tuple[Tensor, ...]] = [(setting.learning[name], start[name]) for name in names]

    def add_gradient(self, step: Step) -> None:
        alpha = self.options.weight_at(step.progress)
        if alpha and (pairs := with_gradient(self.pairs)):
            weights, start = zip(*pairs, strict=True)
            add_l2sp_gradient(weights, start, alpha * step.gradient_scale)

    def held(self) -> list[Tensor]:
        return [start for _, start in self.pairs]


METHOD = Method(L2SPOptions, L2SP, needs_pretrained_weights)
