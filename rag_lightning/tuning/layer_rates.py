"""Discriminative learning rates (Howard & Ruder 2018, ULMFiT): the lower a layer, the more slowly it learns.

Lower layers hold what is general; the paper divides the rate by 2.6 from layer to layer of three, for the many
layers of transformers a decay of 0.8 to 0.95 is usual.
"""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from rag_lightning.errors import UserError
from rag_lightning.model.interface import layers_of, stack_embeddings, stack_layers, stacks_of
from rag_lightning.tuning.way import Setting, Way

SHOWN = 3  # of a backbone's rates, so many can be told apart in a picture


@dataclass(frozen=True)
class Rate:
    """The name of a part, and what the learning rate is multiplied by there."""

    part: str
    factor: float


def layer_rates(network: PreTrainedModel, decay: float) -> dict[int, Rate]:
    """The rate of each parameter (by ``id``) of layers and embeddings; whatever is not in it has the full one.

    A layer has ``decay`` to the power of the layers above it in the order in which data flows (all of a decoder is
    above an encoder); embeddings have the rate of what would be a layer under the first that they feed. Parameters that
    several layers share (ALBERT) have the highest of their layers' rates.
    """
    total = len(layers_of(network))
    rates: dict[int, Rate] = {}
    below = 0
    for stack in stacks_of(network):
        for module in stack_embeddings(network, stack):
            for parameter in module.parameters():
                rates.setdefault(id(parameter), Rate("embeddings", decay ** (total - below)))
        below += len(stack_layers(network, stack))
    for index, layer in enumerate(layers_of(network)):
        rates |= {id(each): Rate(f"layer_{index:02d}", decay ** (total - 1 - index)) for each in layer.parameters()}
    return rates


def shown_rates(groups: list[dict[str, Any]]) -> dict[str, float]:
    """What a dashboard shows of an optimizer's groups: one rate, one for each part, or the head's and the two ends.

    Args:
        groups: with ``lr`` and ``name``, of which what is behind a slash does not count.
    """
    rates = {str(group["name"]).partition("/")[0]: float(group["lr"]) for group in groups}
    if len(set(rates.values())) == 1:
        return {"lr": next(iter(rates.values()))}
    if len(rates) > SHOWN:
        rest = sorted((name for name in rates if name != "head"), key=lambda name: rates[name])
        rates = {name: rate for name, rate in rates.items() if name in ("head", rest[0], rest[-1])}
    return {f"lr/{name}": rate for name, rate in rates.items()}


def check(setting: Setting) -> None:
    """Refuse a family whose layers are not known, and an optimizer without a learning rate."""
    setting.needs_layers("layer_decay")
    if not isinstance(setting.optimizer.get("lr"), int | float):
        raise UserError(
            "tuning.layer_decay lowers optimizer.lr from layer to layer, and it is not set",
            where="optimizer.lr",
            remedy="Set optimizer.lr=…, or tuning.layer_decay=1.",
        )


WAY = Way(wanted=lambda tuning: tuning.layer_decay < 1, check=check)
