"""Texts in, hidden states out, for every family: of encoder-decoders the encoder's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from rag_lightning.model.interface import base_model_of, is_causal
from rag_lightning.model.pooling import masked_mean

TOKENS = 4096  # padded tokens in a batch


@dataclass(frozen=True)
class Batch:
    """Inputs of similar length.

    Attributes:
        places: (rows,), which of the inputs each row is.
        ids: (rows, tokens); ``mask`` (rows, tokens) is 1 at real tokens.
    """

    places: list[int]
    ids: Tensor
    mask: Tensor


def encode_texts(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], window: int) -> list[list[int]]:
    """Token ids of each text with the special tokens of the model, cut at its window."""
    ids: Any = tokenizer(list(texts), truncation=True, max_length=window, verbose=False)["input_ids"]
    filler = tokenizer.pad_token_id or 0
    return [each or [filler] for each in ids]  # a model without special tokens has none for an empty text


def batches(inputs: Sequence[Sequence[int]], padding: int, device: torch.device) -> Iterator[Batch]:
    """All inputs, each once, in batches of similar length."""
    order = sorted(range(len(inputs)), key=lambda place: (-len(inputs[place]), place))
    while order:
        rows = max(1, TOKENS // len(inputs[order[0]]))
        places, order = order[:rows], order[rows:]
        length = len(inputs[places[0]])
        ids = torch.full((len(places), length), padding)
        mask = torch.zeros_like(ids)
        for row, place in enumerate(places):
            size = len(inputs[place])
            ids[row, :size] = torch.tensor(inputs[place])
            mask[row, :size] = 1
        yield Batch(places, ids.to(device), mask.to(device))


def reader_of(network: PreTrainedModel) -> PreTrainedModel:
    """The part of a network that reads: its backbone, or the encoder of one that has both."""
    base = base_model_of(network)
    reader: PreTrainedModel = base.get_encoder() if base.config.is_encoder_decoder else base
    return reader


@torch.no_grad()
def layer_states(network: PreTrainedModel, batch: Batch) -> tuple[Tensor, ...]:
    """What goes into the first layer, then what comes out of each layer, (rows, tokens, width) in float32."""
    outputs = reader_of(network)(batch.ids, attention_mask=batch.mask, output_hidden_states=True, **_options(network))
    return tuple(states.float() for states in outputs.hidden_states)


@torch.no_grad()
def last_states(network: PreTrainedModel, batch: Batch) -> Tensor:
    """What comes out of the last layer, (rows, tokens, width) in float32."""
    states: Tensor = reader_of(network)(batch.ids, attention_mask=batch.mask, **_options(network)).last_hidden_state
    return states.float()


def text_vectors(network: PreTrainedModel, inputs: Sequence[Sequence[int]], padding: int) -> Tensor:
    """The mean over its tokens of each input's last hidden states, (inputs, width), on the CPU."""
    found: list[Tensor | None] = [None] * len(inputs)
    for batch in batches(inputs, padding, next(network.parameters()).device):
        vectors = masked_mean(last_states(network, batch), batch.mask).cpu()
        for row, place in enumerate(batch.places):
            found[place] = vectors[row]
    return torch.stack([each for each in found if each is not None])


def _options(network: PreTrainedModel) -> dict[str, bool]:
    """A decoder would keep keys and values that nobody reads."""
    return {"use_cache": False} if is_causal(str(base_model_of(network).config.model_type)) else {}
