"""Put some weights back to those of pretraining for one step: mixout (Lee, Cho and Kang 2020).

As dropout, with the pretrained weight instead of 0. The mixed weights stand in for the real ones from before the
forward pass until after the backward pass, so that any layer, fused ones too, is trained as it is.
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from rag_lightning.errors import UserError
from rag_lightning.retention.method import Hooks, Method, Options, Step
from rag_lightning.retention.setting import Setting, Situation, needs_pretrained_weights
from rag_lightning.speed.dropout import MaskSource


class MixoutOptions(Options):
    probability: float = Field(0.7, ge=0, lt=1, description="of a weight to be the pretrained one for a step")

    @property
    def in_force(self) -> bool:
        return self.probability > 0


def mixed(weight: Tensor, start: Tensor, keep: Tensor, probability: float, out: Tensor | None = None) -> Tensor:
    """The weight where ``keep`` is 1 and ``start`` where it is 0, scaled so that the mean over masks is ``weight``.

    Args:
        out: into which it is written, which saves memory that would be fresh in each step.
    """
    change = torch.sub(weight, start, out=out)
    return torch.addcmul(start, keep, change, value=1.0 / (1.0 - probability), out=out)


class Mixout(Hooks):
    def __init__(self, options: MixoutOptions, setting: Setting) -> None:
        self.options = options
        matrices = {id(m.weight) for m in setting.backbone.modules() if isinstance(m, (nn.Linear, Conv1D))}
        names = [name for name, each in setting.learning.items() if id(each) in matrices]
        start = setting.start(names)
        self.pairs = [(setting.learning[name], start[name]) for name in names]
        self.seed = setting.seed
        self._real: list[Tensor] = []
        self._keep: list[Tensor] = []
        self._masks_of: int | None = None

    @torch.no_grad()
    def before_forward(self, step: Step) -> None:
        if not self.options.probability:
            return
        self._draw(step)
        for (weight, start), keep, real in zip(self.pairs, self._keep, self._real, strict=True):
            real.copy_(weight)
            mixed(real, start, keep, self.options.probability, out=weight)

    @torch.no_grad()
    def after_backward(self, step: Step) -> None:
        for (weight, _), real in zip(self.pairs, self._real, strict=bool(self._real)):
            weight.copy_(real)

    @torch.no_grad()
    def change_gradient(self, step: Step) -> None:
        for (weight, _), keep in zip(self.pairs, self._keep, strict=bool(self._keep)):
            if weight.grad is not None:
                weight.grad.mul_(keep).div_(1.0 - self.options.probability)

    def held(self) -> list[Tensor]:
        return [*(start for _, start in self.pairs), *self._real, *self._keep]

    def _draw(self, step: Step) -> None:
        """The masks of an optimizer step, the same in all its micro-batches and on all devices."""
        if self._masks_of == step.number:
            return
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed * 1_000_003 + step.number)
            source = MaskSource()
        self._keep = [
            source.keep(weight.shape, self.options.probability, weight.dtype).to(weight.device)
            for weight, _ in self.pairs
        ]
        if not self._real:
            self._real = [torch.empty_like(weight) for weight, _ in self.pairs]
        self._masks_of = step.number


def check(options: MixoutOptions, situation: Situation) -> None:
    """Refuse where no matrix of the backbone learns."""
    needs_pretrained_weights(options, situation)
    if situation.tuning.parameters == "biases":
        raise UserError(
            "mixout mixes matrices, and only biases learn",
            where="retention.mixout",
            remedy="Choose tuning=full, or retention=l2sp.",
        )


METHOD = Method(MixoutOptions, Mixout, check)
