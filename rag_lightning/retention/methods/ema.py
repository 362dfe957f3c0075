"""Use the average of the weights over the training: exponential moving average (Polyak and Juditsky 1992)."""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from rag_lightning.retention.method import Hooks, Method, Options, Step
from rag_lightning.retention.setting import Setting


class EMAOptions(Options):
    decay: float = Field(0.99, ge=0, lt=1, description="share of the average that a step leaves; 0: the weights")
    warm: bool = Field(True, description="in the first n steps at most n/(n+9), so that the start is forgotten")

    @property
    def in_force(self) -> bool:
        return self.decay > 0


@torch.no_grad()
def average(averages: Sequence[Tensor], weights: Sequence[Tensor], decay: float) -> None:
    """Move ``averages`` in place towards ``weights``, by 1 - decay of the way."""
    torch._foreach_lerp_(list(averages), list(weights), 1.0 - decay)


class EMA(Hooks):
    def __init__(self, options: EMAOptions, setting: Setting) -> None:
        self.options = options
        named = {name: each for name, each in setting.network.named_parameters() if each.requires_grad}
        self.names, self.weights = list(named), list(named.values())
        self.averages = [each.detach().clone() for each in self.weights]
        self._real: list[Tensor] = []

    def after_step(self, step: Step) -> None:
        if self.options.decay:
            highest = step.number / (step.number + 9) if self.options.warm else 1.0
            average(self.averages, self.weights, min(self.options.decay, highest))

    @torch.no_grad()
    def before_evaluation(self) -> None:
        if self.options.decay:
            self._real = [each.detach().clone() for each in self.weights]
            torch._foreach_copy_(self.weights, self.averages)

    @torch.no_grad()
    def after_evaluation(self) -> None:
        if self._real:
            torch._foreach_copy_(self.weights, self._real)
            self._real = []

    @torch.no_grad()
    def after_training(self) -> None:
        if self.options.decay:
            torch._foreach_copy_(self.weights, self.averages)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(zip(self.names, self.averages, strict=True))

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        torch._foreach_copy_(self.averages, [state[name].to(self.averages[0].device) for name in self.names])

    def held(self) -> list[Tensor]:
        return self.averages


METHOD = Method(EMAOptions, EMA)
