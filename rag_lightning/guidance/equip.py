"""Put into a network and a task's output what the guide asks for: features, meanings, constraints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from rag_lightning.decoding.crf import LinearChainCRF
from rag_lightning.decoding.token_decoder import make_crf_loss, make_decode
from rag_lightning.errors import UserError
from rag_lightning.guidance.features import RuleFeatures, attach
from rag_lightning.guidance.guide import Guide
from rag_lightning.guidance.semantics import (
    SemanticHead,
    encoded_texts,
    mean_vectors,
    meanings_of,
    text_head,
    token_head,
)
from rag_lightning.model.interface import base_model_of
from rag_lightning.model.pair_head import PairHead
from rag_lightning.tasks.task import OutputKind, Task

_HEADS = ("classifier", "score")
_CRF = "label_transitions"
_TYPE_BEATS_O_FROM = 0.15  # cosine of a token and a type's meaning: what names have on average in a sentence encoder


def equip_network(
    network: PreTrainedModel,
    guide: Guide,
    labels: Sequence[str],
    tokenizer: Any,
    frozen_layers: int,
    examples: Iterable[Mapping[str, torch.Tensor]] = (),
) -> None:
    """Add the modules that learn beside the backbone; before the optimizer is built and saved weights are loaded.

    Args:
        examples: labelled texts in encoded batches, which a label's meaning takes in beside its description.

    Raises:
        UserError: if the labels have no meaning in words, or the head cannot be replaced.
    """
    if guide.config.semantics:
        _put_meanings(network, guide, labels, tokenizer, examples)
    if guide.features:
        width = int(network.config.hidden_size)
        features = RuleFeatures(guide.index.size, width, len(labels), guide.config.features.dropout)
        attach(network, features, frozen_layers)
    if guide.of_tokens and guide.config.decoding.crf:
        network.add_module(_CRF, LinearChainCRF(len(labels)))


def equip_task(task: Task, guide: Guide, network: nn.Module, labels: Sequence[str]) -> Task:
    """The task whose answers keep the constraints; the task itself where there are none."""
    crf = getattr(network, _CRF, None)
    if crf is None and not guide.transitions and not guide.vetoes:
        return task
    output: OutputKind = replace(task.output, decode=make_decode(labels, guide.transitions, crf))
    if crf is not None:
        output = replace(output, loss=make_crf_loss(crf))
    return replace(task, output=output)


def equipment_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of all that :func:`equip_network`, or an output kind, added to a network, by name."""
    found: dict[str, torch.Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, RuleFeatures | SemanticHead | LinearChainCRF | PairHead):
            found |= {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}
    return found


def _put_meanings(
    network: PreTrainedModel, guide: Guide, labels: Sequence[str], tokenizer: Any,
    examples: Iterable[Mapping[str, torch.Tensor]],
) -> None:  # fmt: skip
    head = next((name for name in _HEADS if isinstance(getattr(network, name, None), nn.Linear)), None)
    if head is None:
        raise UserError(
            f"the head of a {type(network).__name__} is not one layer, and cannot start from the labels' meanings",
            where="guidance.semantics",
            remedy="Set model.pooling=mean, or guidance.semantics=false.",
        )
    names = list(dict.fromkeys(label[2:] for label in labels if label != "O")) if guide.of_tokens else list(labels)
    texts = []
    for name in names:
        info = guide.ruleset.labels.get(name)
        words = name.replace("_", " ").replace("-", " ")
        told = (words, "", ()) if info is None else (info.name, info.description, info.examples)
        texts.append(meanings_of(*told))

    def tokenize(batch: Sequence[str]) -> dict[str, torch.Tensor]:
        encoded = tokenizer(list(batch), padding=True, truncation=True, max_length=256, return_tensors="pt")
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    batches = encoded_texts(tokenize, texts)
    backbone = base_model_of(network)
    if guide.of_tokens:
        made = token_head(names, labels, mean_vectors(batches, backbone, len(names)), _TYPE_BEATS_O_FROM)
    else:
        made = text_head(mean_vectors(chain(batches, examples), backbone, len(names)))
    setattr(network, head, made)
