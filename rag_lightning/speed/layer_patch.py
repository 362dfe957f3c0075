"""Finding the encoder layers that :class:`EncoderLayerFunction` computes, and routing them through it."""

from dataclasses import dataclass
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.activations import GELUActivation

from rag_lightning.speed.encoder_layer import PARAMETERS, EncoderLayerFunction, LayerShape, WorkingCopy


@dataclass(frozen=True)
class LayerNames:
    """Where a layer keeps its parts, as attribute paths."""

    query: str
    key: str
    value: str
    projection: str
    attention_norm: str
    up: str
    down: str
    output_norm: str
    attention: str
    heads: str
    activation: str
    attention_dropout: str
    projection_dropout: str | None  # None: the architecture has none after the attention's projection
    output_dropout: str


_BERT = LayerNames(
    query="attention.self.query", key="attention.self.key", value="attention.self.value",
    projection="attention.output.dense", attention_norm="attention.output.LayerNorm",
    up="intermediate.dense", down="output.dense", output_norm="output.LayerNorm",
    attention="attention.self", heads="attention.self.num_attention_heads",
    activation="intermediate.intermediate_act_fn", attention_dropout="attention.self.dropout",
    projection_dropout="attention.output.dropout", output_dropout="output.dropout",
)  # fmt: skip
_DISTILBERT = LayerNames(
    query="attention.q_lin", key="attention.k_lin", value="attention.v_lin",
    projection="attention.out_lin", attention_norm="sa_layer_norm",
    up="ffn.lin1", down="ffn.lin2", output_norm="output_layer_norm",
    attention="attention", heads="attention.n_heads",
    activation="ffn.activation", attention_dropout="attention.dropout",
    projection_dropout=None, output_dropout="ffn.dropout",
)  # fmt: skip

# By class name: the names say exactly which forward() is being replaced; a look-alike with other maths is left alone.
KNOWN_LAYERS = {
    "BertLayer": _BERT,
    "RobertaLayer": _BERT,
    "XLMRobertaLayer": _BERT,
    "CamembertLayer": _BERT,
    "ElectraLayer": _BERT,
    "TransformerBlock": _DISTILBERT,
}


def fuse_layers(network: nn.Module, dtype: torch.dtype) -> int:
    """Route every layer that fits through the fused operation; returns how many do.

    Parameters, their names and the saved model are untouched: only ``forward`` of the layer instances changes.
    """
    count = 0
    for stack in network.modules():
        if not isinstance(stack, nn.ModuleList) or not len(stack):
            continue
        names = KNOWN_LAYERS.get(type(stack[0]).__name__)
        # All layers of a stack or none: what goes from layer to layer is in the layers' dtype.
        if names is None or not all(_fits(layer, type(stack[0]), names) for layer in stack):
            continue
        for position, layer in enumerate(stack):
            layer._fused = Fused(names, _working_copy(layer, names, dtype), dtype, position == len(stack) - 1)  # type: ignore[assignment]
            layer.forward = MethodType(fused_forward, layer)
        count += len(stack)
    return count


def unfuse_layers(network: nn.Module) -> None:
    """Undo :func:`fuse_layers`."""
    for module in network.modules():
        if "_fused" in vars(module):
            del module._fused, module.forward


@dataclass(frozen=True)
class Fused:
    """What a fused layer remembers."""

    names: LayerNames
    copy: WorkingCopy
    dtype: torch.dtype
    final: bool


def _working_copy(module: nn.Module, names: LayerNames, dtype: torch.dtype) -> WorkingCopy:
    up: nn.Linear = _get(module, names.up)
    return WorkingCopy(up.in_features, up.out_features, dtype)


def fused_forward(
    layer: nn.Module, hidden_states: Tensor, attention_mask: Tensor | None = None, *rest: Any, **kwargs: Any
) -> Tensor:
    """Stands in for the layer's ``forward``; what it does not know goes to the original one."""
    is_plain = (
        all(value is None for value in rest)
        and not any(kwargs.get(key) for key in _UNSUPPORTED)
        and hidden_states.device.type == "cpu"
        and (attention_mask is None or attention_mask.ndim == 4)
    )
    if not is_plain:
        hidden_states = hidden_states.to(next(layer.parameters()).dtype)
        return cast(Tensor, type(layer).forward(layer, hidden_states, attention_mask, *rest, **kwargs))
    fused: Fused = layer._fused  # type: ignore[assignment]
    names = fused.names
    attention = _get(layer, names.attention)
    shape = LayerShape(
        heads=_get(layer, names.heads),
        scaling=attention.scaling,
        attention_dropout=_rate(layer, names.attention_dropout),
        projection_dropout=_rate(layer, names.projection_dropout),
        output_dropout=_rate(layer, names.output_dropout),
        epsilon=_get(layer, names.output_norm).eps,
        dtype=fused.dtype,
        final=fused.final,
    )
    parameters = [_get(layer, getattr(names, part) + "." + kind) for part, kind in _SPLIT]
    bias = None if attention_mask is None else _additive(attention_mask)
    return cast(Tensor, EncoderLayerFunction.apply(hidden_states, bias, shape, fused.copy, *parameters))


_SPLIT = [tuple(name.split(".")) for name in PARAMETERS]
_UNSUPPORTED = ("past_key_values", "output_attentions", "encoder_hidden_states", "head_mask")


def _rate(layer: nn.Module, path: str | None) -> float:
    """The dropout rate in force: a submodule that was set to eval on purpose keeps its dropout off."""
    if path is None:
        return 0.0
    dropout = _get(layer, path)
    return float(dropout.p) if dropout.training else 0.0


def _additive(mask: Tensor) -> Tensor:
    """Scores' bias from a boolean mask (True may be seen); an additive mask passes through."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape).masked_fill_(~mask, torch.finfo(torch.float32).min)


def _get(module: nn.Module, path: str) -> Any:
    value: Any = module
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _fits(module: nn.Module, kind: type[nn.Module], names: LayerNames) -> bool:
    """Whether the layer is exactly the plain architecture: no adapters, no decoder, GELU, fp32 weights on a CPU."""
    if type(module) is not kind or not kind.__module__.startswith("transformers."):
        return False
    parts = (names.query, names.key, names.value, names.projection, names.up, names.down)
    linears = [_get(module, path) for path in parts]
    norms = [_get(module, names.attention_norm), _get(module, names.output_norm)]
    activation = _get(module, names.activation)
    is_gelu = activation is nn.functional.gelu or (
        isinstance(activation, (nn.GELU, GELUActivation)) and getattr(activation, "approximate", "none") == "none"
    )
    return (
        is_gelu
        and all(type(linear) is nn.Linear and linear.bias is not None for linear in linears)
        and all(linear.in_features == linear.out_features for linear in linears[:4])
        and all(type(norm) is nn.LayerNorm and norm.elementwise_affine for norm in norms)
        and norms[0].eps == norms[1].eps
        and not _get(module, names.attention).is_causal
        and not getattr(module, "is_decoder", False)
        and not getattr(module, "add_cross_attention", False)
        and all(p.dtype == torch.float32 and p.device.type == "cpu" for p in module.parameters())
    )
