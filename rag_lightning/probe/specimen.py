"""A plain network of the backbone's kind, into which the weights of any other one of it can be put.

Measurements are made on it and never on the network that learns: that one's layers may compute in another precision,
its embedding may hold only the rows that training looks up, and its modes, hooks and random state must stay.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rag_lightning.model.interface import base_model_of
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.tuning.adapters import has_adapter

# Parts that no probe reads, and that a head may lack.
_UNREAD = ("decoder.", "pooler.", "final_logits_bias")


@dataclass(frozen=True)
class Weights:
    """A network's weights: of a plain network not copies, but what it learns with.

    Attributes:
        base: the backbone's, by their names in the base model.
        kind: the network's class; None: a backbone alone.
        head: all others, by their names in the network.
    """

    base: dict[str, Tensor]
    kind: type[nn.Module] | None = None
    head: dict[str, Tensor] = field(default_factory=dict)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Weights":
        """Each tensor changed."""
        base, head = ({name: change(each) for name, each in part.items()} for part in (self.base, self.head))
        return Weights(base, self.kind, head)


def load_specimen(folder: Path, head: str, config: ModelConfig, device: torch.device) -> PreTrainedModel:
    """The pretrained network in a folder with a head of its own, in float32 and eval mode.

    Raises:
        UserError: as of ``load_network``.
    """
    network = load_network(folder, head, (), config, seed=0)
    return network.requires_grad_(False).to(device)


def weights_of(network: nn.Module, *, adapters: bool = True) -> Weights:
    """The weights of a network, its backbone's and its head's.

    Args:
        adapters: weights that have an adapter of ``peft`` are those with it merged in; False: those beneath it.
    """
    base: Any = base_model_of(network)
    weights = dict(network.state_dict())
    for name, layer in network.named_modules():
        if has_adapter(layer):
            plain = _merged(layer) if adapters else layer.base_layer
            weights |= {f"{name}.{key}": tensor for key, tensor in plain.state_dict().items()}
    prefix = next(f"{name}." if name else "" for name, module in network.named_modules() if module is base)
    inside = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    return Weights(inside, type(network), {k: v for k, v in weights.items() if not k.startswith(prefix)})


def _merged(layer: Any) -> nn.Module:
    """The adapted layer as a plain one, made of a copy: to merge and to undo it would not give the same bits again."""
    copied = copy.deepcopy(layer)
    copied.merge(safe_merge=True)
    plain: nn.Module = copied.get_base_layer()
    return plain


@torch.no_grad()
def put(weights: Weights, specimen: PreTrainedModel) -> None:
    """Let a specimen have these weights.

    A head of the specimen's own class is taken too, for it may have learnt; of other networks the specimen's head stays
    as it is. What is tied to the embeddings follows them. A table of embeddings that has grown by new tokens is taken
    as far as the specimen's goes.

    Raises:
        RuntimeError: if the weights are of another backbone (a defect, never to be passed over).
    """
    own = weights_of(specimen)
    _copy(weights.base, own.base)
    if weights.kind is type(specimen):
        tied = {tensor.data_ptr() for tensor in own.base.values()}
        _copy(weights.head, {name: each for name, each in own.head.items() if each.data_ptr() not in tied})


def _copy(weights: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    missing = [name for name in own if name not in weights and not name.startswith(_UNREAD)]
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(own)} tensors are not there, such as {missing[0]}")
    for name, tensor in own.items():
        if name in weights:
            tensor.copy_(weights[name][: len(tensor)] if tensor.dim() else weights[name])
