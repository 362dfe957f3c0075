"""A plain network of the backbone's kind, into which the weights of any other one of it can be put.

Measurements are made on it and never on the network that learns: that one's layers may compute in another precision,
its embedding may hold only the rows that training looks up, and its modes, hooks and random state must stay.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rag_lightning.model.interface import base_model_of
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig

Weights = dict[str, Tensor]
# Parts that no probe reads, and that a head may lack.
_UNREAD = ("decoder.", "pooler.", "final_logits_bias")


def load_specimen(folder: Path, head: str, config: ModelConfig, device: torch.device) -> PreTrainedModel:
    """The pretrained network in a folder with a head of its own, in float32 and eval mode.

    Raises:
        UserError: as of ``load_network``.
    """
    network = load_network(folder, head, (), config, seed=0)
    return network.requires_grad_(False).to(device)


def weights_of(network: nn.Module, *, adapters: bool = True) -> Weights:
    """The backbone's weights by their names in the base model: of a plain network not copies, but what it learns with.

    Args:
        adapters: weights that have an adapter of ``peft`` are those with it merged in; False: those beneath it.
    """
    base: Any = base_model_of(network)
    weights: Weights = dict(base.state_dict())
    for name, layer in base.named_modules():
        if has_adapter(layer):
            plain = _merged(layer) if adapters else layer.base_layer
            weights |= {f"{name}.{key}": tensor for key, tensor in plain.state_dict().items()}
    return weights


def has_adapter(module: nn.Module) -> bool:
    """Whether a module is one of ``peft``, around a layer that it adapts."""
    return hasattr(module, "base_layer") and hasattr(module, "adapter_layer_names")


def _merged(layer: Any) -> nn.Module:
    """The adapted layer as a plain one, made of a copy: to merge and to undo it would not give the same bits again."""
    copied = copy.deepcopy(layer)
    copied.merge(safe_merge=True)
    plain: nn.Module = copied.get_base_layer()
    return plain


@torch.no_grad()
def put(weights: Weights, specimen: PreTrainedModel) -> None:
    """Let a specimen have these weights; a head that is tied to the embeddings follows them.

    A table of embeddings that has grown by new tokens is taken as far as the specimen's goes.

    Raises:
        RuntimeError: if the weights are of another backbone (a defect, never to be passed over).
    """
    own = weights_of(specimen)
    missing = [name for name in own if name not in weights and not name.startswith(_UNREAD)]
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(own)} backbone tensors are not there, such as {missing[0]}")
    for name, tensor in own.items():
        if name in weights:
            tensor.copy_(weights[name][: len(tensor)] if tensor.dim() else weights[name])
