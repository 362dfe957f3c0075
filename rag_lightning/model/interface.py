"""Where a backbone's parts are, by model type: attribute names relative to the base model, never copies.

Adding a family is one line of the table. A family that is not in it can still be trained whole; only what
needs to know its layers (freezing) is refused.
"""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.auto import modeling_auto

from rag_lightning.errors import UserError

# The heads there are: labels of tokens, of texts and of pairs of entities, places in a text, words written, words at
# masks, and none at all.
TEXT_HEADS = ("sequence_label", "entity_pair")  # which give one label a row, and can be pooled
OUTPUT_KINDS = ("token_labels", *TEXT_HEADS, "span", "text", "next_tokens", "masked_tokens", "vectors")
PRETRAINED_HEADS = ("next_tokens", "masked_tokens")  # with which backbones learn to read
ROW_HEADS = ("token_labels", *TEXT_HEADS, "span")  # whose tasks run each encoded row through the network once, as it is
LABEL_HEADS = ("token_labels", *TEXT_HEADS, "vectors")  # of which the saved config keeps the label names


@dataclass(frozen=True)
class Stack:
    """One run of layers and what comes before it.

    Args:
        embeddings: parts that feed the first layer or are shared by all layers (relative position tables);
            a part that a variant of the family lacks is passed over.
        layers: the list of layers.
        depth: the config's key for the number of layers.
        switch: module whose own ``training`` flag turns the dropout before the first layer on (where the
            family calls a dropout function instead of holding a Dropout module).
        entry: of the embeddings, the parts whose answer only goes into layers: where the states behind a layer are
            known, they need not be run. None: the family's network cannot begin at a layer.
        layers_give_tuples: whose first element is the states.
    """

    embeddings: tuple[str, ...]
    layers: str
    depth: str = "num_hidden_layers"
    switch: str | None = None
    entry: tuple[str, ...] | None = None
    layers_give_tuples: bool = False


@dataclass(frozen=True)
class Interface:
    """A family's parts, in the order in which data flows: for encoder-decoders first the encoder."""

    family: str
    stacks: tuple[Stack, ...]
    encoder_only_kinds: tuple[str, ...] = ()


def _family(family: str, *stacks: Stack, encoder_only: tuple[str, ...] = ()) -> Interface:
    return Interface(family, stacks, encoder_only)


_EMBEDDINGS = ("embeddings",)
_BERT_STACK = Stack(_EMBEDDINGS, "encoder.layer", entry=_EMBEDDINGS)
_DEBERTA_STACK = Stack(
    # The relative positions serve every layer, and the convolution feeds the second.
    ("embeddings", "encoder.rel_embeddings", "encoder.LayerNorm", "encoder.conv"),
    "encoder.layer",
    entry=("embeddings", "encoder.conv"),
    layers_give_tuples=True,
)
_ROBERTA = _family("RoBERTa", _BERT_STACK)
_XLM_ROBERTA = _family("XLM-R", _BERT_STACK)
_DEBERTA = _family("DeBERTa", _DEBERTA_STACK)
_LLAMA = _family("Llama-like", Stack(("embed_tokens",), "layers", entry=("embed_tokens",)))
_T5 = _family(
    "T5",
    # A stack's one dropout module serves its input and its output: frozen, both are off.
    Stack(("shared", "encoder.embed_tokens", "encoder.dropout"), "encoder.block", "num_layers"),
    Stack(("decoder.dropout",), "decoder.block", "num_decoder_layers"),
    encoder_only=("token_labels",),
)
_BART_STACKS = (
    Stack(
        ("shared", "encoder.embed_tokens", "encoder.embed_positions", "encoder.layernorm_embedding"),
        "encoder.layers",
        "encoder_layers",
        switch="encoder",
    ),
    Stack(
        # The table of tokens is the encoder's too, except in a Marian model with a vocabulary for each language.
        ("decoder.embed_tokens", "decoder.embed_positions", "decoder.layernorm_embedding"),
        "decoder.layers",
        "decoder_layers",
        switch="decoder",
    ),
)
_BART = _family("BART", *_BART_STACKS)

INTERFACES: dict[str, Interface] = {
    "bert": _family("BERT", _BERT_STACK),
    "roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "xlm-roberta": _XLM_ROBERTA,
    "xlm-roberta-xl": _XLM_ROBERTA,
    "distilbert": _family("DistilBERT", Stack(_EMBEDDINGS, "transformer.layer", entry=_EMBEDDINGS)),
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,
    "electra": _family(
        "ELECTRA",
        Stack(("embeddings", "embeddings_project"), "encoder.layer", entry=("embeddings", "embeddings_project")),
    ),
    "albert": _family(
        "ALBERT",
        Stack(("embeddings", "encoder.embedding_hidden_mapping_in"), "encoder.albert_layer_groups"),
    ),
    "mpnet": _family(
        "MPNet",
        Stack(
            ("embeddings", "encoder.relative_attention_bias"),
            "encoder.layer",
            entry=_EMBEDDINGS,
            layers_give_tuples=True,
        ),
    ),  # fmt: skip
    "modernbert": _family("ModernBERT", Stack(_EMBEDDINGS, "layers", entry=_EMBEDDINGS)),
    "gpt2": _family("GPT-2", Stack(("wte", "wpe", "drop"), "h", entry=("wte",))),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _LLAMA,
    "gemma3_text": _LLAMA,
    "smollm3": _LLAMA,
    "phi3": _LLAMA,
    "t5": _T5,
    "mt5": _T5,
    "bart": _BART,
    "mbart": _BART,
    "marian": _family("Marian", *_BART_STACKS),
    "pegasus": _family("Pegasus", *_BART_STACKS),
}

_CAUSAL = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
_SEQ2SEQ = modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
_MASKED = modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
_MAPPINGS = {
    "token_labels": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "sequence_label": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "entity_pair": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "span": modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    "masked_tokens": _MASKED,
    "vectors": modeling_auto.MODEL_MAPPING_NAMES,
}


_CALLED = {"text": "writing text", "span": "places in a text", "next_tokens": "next words"}


def families(model_types: Iterable[str] = INTERFACES) -> list[str]:
    """The families' names for messages, each once."""
    return list(dict.fromkeys(INTERFACES[each].family for each in model_types))


def interface_of(model_type: str) -> Interface:
    """The table's entry; a UserError names the families when there is none."""
    if model_type not in INTERFACES:
        raise UserError(
            f"The layers of a model of type '{model_type}' are not known",
            where="tuning.frozen_layers",
            remedy=f"Take frozen_layers=0, or a model of one of these families: {', '.join(families())}.",
        )
    return INTERFACES[model_type]


def is_seq2seq(model_type: str) -> bool:
    """Whether this type writes text with an encoder and a decoder."""
    return model_type in _SEQ2SEQ


def is_causal(model_type: str) -> bool:
    """Whether this type is a decoder that reads left to right (BERT-like types could be run so too)."""
    return model_type in _CAUSAL and model_type not in _MASKED and model_type not in _SEQ2SEQ


def supports(model_type: str, output_kind: str) -> bool:
    """Whether transformers has this head for this model type."""
    if output_kind == "text":
        return is_seq2seq(model_type) or is_causal(model_type)
    if output_kind == "next_tokens":
        return is_causal(model_type)
    return model_type in _MAPPINGS[output_kind]


def check_supported(model_type: str, output_kind: str) -> None:
    """Raise a UserError that names the families that can, if this model type has no head of that kind."""
    if not supports(model_type, output_kind):
        able = families(each for each in INTERFACES if supports(each, output_kind))
        raise UserError(
            f"A model of type '{model_type}' has no head for {_CALLED.get(output_kind, output_kind.replace('_', ' '))}",
            where="model",
            remedy=f"Choose one of these families: {', '.join(able)}.",
        )


def padding_side(model_type: str, output_kind: str) -> str:
    """Left where a decoder goes on writing after the input, else right."""
    return "left" if output_kind == "text" and is_causal(model_type) else "right"


def accepted_inputs(model: nn.Module) -> frozenset[str]:
    """The keywords that ``forward`` names; any other is swallowed in silence by transformers."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(model.forward).parameters.values()
    return frozenset(each.name for each in parameters if each.kind in kinds)


def base_model_of(model: PreTrainedModel) -> PreTrainedModel:
    """The backbone without its head (the model itself where there is none)."""
    base: PreTrainedModel = model.base_model
    return base


def stacks_of(model: PreTrainedModel) -> list[Stack]:
    """The stacks that this model has; a token classifier made of T5 has no decoder."""
    base = base_model_of(model)
    stacks = interface_of(base.config.model_type).stacks
    return [stack for stack in stacks if part(base, stack.layers) is not None]


def part(base: nn.Module, path: str) -> nn.Module | None:
    """The part at a dotted path, or None."""
    found: Any = base
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            return None
    return found if isinstance(found, nn.Module) else None


def stack_layers(model: PreTrainedModel, stack: Stack) -> list[nn.Module]:
    """One stack's layers from the lowest up, as often as each is run.

    ALBERT runs a group of shared parameters many times: the group stands once for each of its layers.
    """
    base = base_model_of(model)
    held = part(base, stack.layers)
    modules = list(held.children()) if held is not None else []
    depth = int(getattr(base.config, stack.depth))
    return [modules[index * len(modules) // depth] for index in range(depth)]


def layers_of(model: PreTrainedModel) -> list[nn.Module]:
    """All layers in the order in which data flows: the encoder's, then the decoder's."""
    return [layer for stack in stacks_of(model) for layer in stack_layers(model, stack)]


def embeddings_of(model: PreTrainedModel) -> list[nn.Module]:
    """What feeds the first layer, and tables that all layers share."""
    return stack_embeddings(model, stacks_of(model)[0])


def stack_embeddings(model: PreTrainedModel, stack: Stack) -> list[nn.Module]:
    """The parts before one stack's layers."""
    base = base_model_of(model)
    found = (part(base, path) for path in stack.embeddings)
    return [each for each in found if each is not None]


def n_layers(config: PretrainedConfig, output_kind: str = "token_labels") -> int:
    """The number of layers, told from the config alone.

    An encoder-decoder counts both of its stacks, except under a head that has no decoder.
    """
    interface = interface_of(config.model_type)
    encoder_only = output_kind in interface.encoder_only_kinds
    return sum(int(getattr(config, stack.depth)) for stack in interface.stacks[: 1 if encoder_only else None])


def layers_per_group(config: PretrainedConfig) -> int:
    """How many neighbouring layers share their parameters: 1, except in ALBERT."""
    if config.model_type != "albert":
        return 1
    return -(-int(config.num_hidden_layers) // int(config.num_hidden_groups))
