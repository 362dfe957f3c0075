"""Go back part of the way to the pretrained weights: WiSE-FT (Wortsman et al. 2022), at no extra training.

The weights of the backbone are interpolated, alpha 0 for those of pretraining and 1 for those of fine-tuning; the head
stays as it was learnt. Of the alphas the smallest is taken that costs little on validation.
"""

from collections.abc import Callable, Sequence

import torch
from pydantic import Field, field_validator
from torch import Tensor

from rag_lightning.retention.method import Hooks, Method, Options
from rag_lightning.retention.setting import Setting, needs_pretrained_weights


class WiseFTOptions(Options):
    alphas: list[float] = Field(
        default=[0.5, 0.6, 0.7, 0.8, 0.9], min_length=1, description="shares of the way that are tried beside all of it"
    )
    tolerance: float = Field(
        0.003, ge=0, description="share of the best alpha's headline score on validation that may be lost"
    )

    @field_validator("alphas")
    @classmethod
    def _shares(cls, values: list[float]) -> list[float]:
        if any(not 0 <= value <= 1 for value in values):
            raise ValueError("shares from 0 (the pretrained weights) to 1 (the fine-tuned ones) are needed")
        return sorted(set(values))

    @property
    def in_force(self) -> bool:
        return any(alpha < 1 for alpha in self.alphas)


@torch.no_grad()
def interpolate(weights: Sequence[Tensor], start: Sequence[Tensor], end: Sequence[Tensor], alpha: float) -> None:
    """Set ``weights`` in place to (1 - alpha) x start + alpha x end; the ends are met exactly."""
    for weight, begun, ended in zip(weights, start, end, strict=True):
        torch.lerp(begun, ended, alpha, out=weight.data)


def chosen(scores: dict[float, float], tolerance: float, lower_is_better: bool) -> float:
    """The smallest alpha whose score is at most a share of ``tolerance`` worse than the best one."""
    sign = -1.0 if lower_is_better else 1.0
    best = max(sign * score for score in scores.values())
    return min(alpha for alpha, score in scores.items() if sign * score >= best - tolerance * abs(best))


class WiseFT(Hooks):
    def __init__(self, options: WiseFTOptions, setting: Setting) -> None:
        self.options, names = options, list(setting.learning)
        self.weights = [setting.learning[name] for name in names]
        self.start = list(setting.start(names).values())

    def choose(self, evaluate: Callable[[], float], lower_is_better: bool) -> list[str]:
        end = [each.detach().clone() for each in self.weights]
        scores: dict[float, float] = {}
        for alpha in [*self.options.alphas, 1.0]:
            interpolate(self.weights, self.start, end, alpha)
            scores[alpha] = evaluate()
        alpha = chosen(scores, self.options.tolerance, lower_is_better)
        interpolate(self.weights, self.start, end, alpha)
        told = ", ".join(f"{each:g}: {score:.4f}" for each, score in sorted(scores.items()))
        return [f"WiSE-FT took alpha {alpha:g}, by the validation score of each ({told})."]

    def held(self) -> list[Tensor]:
        return self.start


METHOD = Method(WiseFTOptions, WiseFT, needs_pretrained_weights)
