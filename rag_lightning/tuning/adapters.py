"""Adapters that learn in place of the backbone, by ``peft``, in the network itself, whose class stays as it is.

LoRA (Hu et al. 2022) adds a product of two narrow matrices to a weight; (IA)³ (Liu et al. 2022) scales keys, values
and the inner states of the feed-forward part. Both begin as nothing and are merged into the weights at the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from rag_lightning.tuning.adapter_targets import auto_targets, feedforward_of
from rag_lightning.tuning.options import AdapterConfig

NAME = "default"  # which peft gives the only adapter


def adapted_names(root: nn.Module, targets: list[str], within: list[nn.Module]) -> list[str]:
    """The names in ``root`` of the linear modules in ``within`` that ``targets`` mean: a whole name or its end."""
    inside = {id(module) for each in within for module in each.modules()}
    return [
        name
        for name, module in root.named_modules()
        if id(module) in inside
        and isinstance(module, nn.Linear | Conv1D)
        and any(name == target or name.endswith(f".{target}") for target in targets)
    ]


def root_of(network: nn.Module) -> PreTrainedModel:
    """What peft is shown of a network: the model of transformers in it, with its head if that is of transformers."""
    root: PreTrainedModel = network if isinstance(network, PreTrainedModel) else network.base_model
    return root


def add_adapters(network: PreTrainedModel, adapter: AdapterConfig, learning: list[nn.Module], seed: int) -> None:
    """Put adapters into the modules ``learning`` and stop all else in the network from learning.

    The first weights depend on ``seed`` alone; torch's state is left as it was.
    """
    from peft.mapping import inject_adapter_in_model

    root = root_of(network)
    targets = targets_of(adapter, root.config.model_type)
    names = adapted_names(root, targets, learning)
    if names == adapted_names(root, targets, [root]):
        names = [each for each in targets if adapted_names(root, [each], learning)]  # what a reader knows, for the file
    config = _peft_config(adapter, root, names)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(np.random.SeedSequence([seed, 1]).generate_state(1)[0]))
        inject_adapter_in_model(config, root, NAME)
    own = {id(each) for layer in adapter_layers(network) for each in _own_parameters(layer)}
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) in own)


def adapter_layers(network: nn.Module) -> list[Any]:
    """The modules of peft in a network; none where it has no adapters."""
    return [each for each in network.modules() if has_adapter(each)]


def has_adapter(module: nn.Module) -> bool:
    """Whether a module is one of peft, around a layer that it adapts."""
    return hasattr(module, "base_layer") and hasattr(module, "adapter_layer_names")


@contextmanager
def adapters_off(network: nn.Module) -> Iterator[None]:
    """Within the block the backbone is exactly the pretrained one; head and gradients of adapters stay as they are.

    A network without adapters is left as it is. After the block the adapters are on again.
    """
    layers = adapter_layers(network)
    learning = [parameter.requires_grad for layer in layers for parameter in _own_parameters(layer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)  # which lets them learn, whatever they did before
        own = [parameter for layer in layers for parameter in _own_parameters(layer)]
        for parameter, learns in zip(own, learning, strict=True):
            parameter.requires_grad_(learns)


def merge_adapters(network: nn.Module) -> None:
    """Make the adapters a part of the weights: the network is then a plain one that gives the same answers."""
    for name, module in list(network.named_modules()):
        if has_adapter(module):
            module.merge(safe_merge=True)
            parent, _, last = name.rpartition(".")
            setattr(network.get_submodule(parent), last, module.get_base_layer())
    vars(root_of(network)).pop("peft_config", None)


def targets_of(adapter: AdapterConfig, model_type: str) -> list[str]:
    """The ends of the names of what is adapted; empty where ``auto`` does not know the family."""
    assert adapter.kind is not None
    return auto_targets(adapter.kind, model_type) if adapter.targets == "auto" else list(adapter.targets)


def _own_parameters(layer: Any) -> list[nn.Parameter]:
    base = {id(each) for each in layer.base_layer.parameters()}
    return [each for each in layer.parameters() if id(each) not in base]


def _peft_config(adapter: AdapterConfig, root: PreTrainedModel, names: list[str]) -> Any:
    from peft import IA3Config, LoraConfig

    of_columns = any(isinstance(module, Conv1D) for module in root.modules())  # GPT-2 keeps its weights transposed
    if adapter.kind == "lora":
        return LoraConfig(
            r=adapter.rank, lora_alpha=adapter.alpha, lora_dropout=adapter.dropout, target_modules=names,
            fan_in_fan_out=of_columns,
        )  # fmt: skip
    inner = feedforward_of(root.config.model_type, names)
    return IA3Config(target_modules=names, feedforward_modules=inner, fan_in_fan_out=of_columns)
