"""A writing kind that also chooses: among given texts, by how likely the network finds each behind the prompt.

Response selection as in Lowe et al. 2015 ("The Ubuntu Dialogue Corpus"), with the log-likelihood per token as score.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from rag_lightning.data.records import Record
from rag_lightning.tasks.outputs.text import IGNORED
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind

COLUMN = "candidates"  # of a record: texts; of the encoded data: their ids one behind the other, each followed by _END
_END = -1

Encode = Callable[[Sequence[Record], int, EncodingContext], Columns]


def choosing(kind: OutputKind) -> OutputKind:
    """The kind with a column for the ``candidates`` of a record, and their scores in the prediction, in their order.

    Args:
        kind: of writing (:func:`rag_lightning.tasks.outputs.text.text_output`). A record without candidates is as
            before, but for an empty list in its prediction.
    """
    return replace(
        kind,
        encode=partial(_encode, encode=kind.encode),
        padding={**kind.padding, COLUMN: IGNORED},
        equip=partial(_equip, plain=kind),
    )


def _encode(records: Sequence[Record], first: int, context: EncodingContext, *, encode: Encode) -> Columns:
    columns = encode(records, first, context)
    columns[COLUMN] = [[] for _ in columns["input_ids"]]
    asked = [
        (row, number - first) for row, number in enumerate(columns["example"]) if records[number - first].get(COLUMN)
    ]
    # Each is encoded as if it were the text to be learnt, so that its ids are those that training would have.
    shown = [{**records[place], "target": text} for _, place in asked for text in records[place][COLUMN]]
    labels = iter(encode(shown, 0, context)["labels"]) if shown else iter(())
    for row, place in asked:
        for _ in records[place][COLUMN]:
            columns[COLUMN][row] += [*(token for token in next(labels) if token != IGNORED), _END]
    return columns


def _equip(kind: OutputKind, network: nn.Module, context: EncodingContext, *, plain: OutputKind) -> OutputKind:
    assert plain.equip is not None, "a writing kind is equipped with its network"
    writing = plain.equip(plain, network, context)
    return replace(kind, decode=partial(_decode, decode=writing.decode, network=network))


def _decode(
    outputs: Any, batch: Batch, *, decode: Callable[[Any, Batch], dict[str, Any]], network: PreTrainedModel
) -> dict[str, Any]:
    scores: list[list[float]] = []
    for ids, length, row in zip(batch["input_ids"], batch["prompt"].tolist(), batch[COLUMN].tolist(), strict=True):
        candidates = _split(row)
        scores.append(likelihoods(network, ids[:length], candidates) if candidates else [])
    return {**decode(outputs, batch), COLUMN: scores}


def _split(row: Sequence[int]) -> list[list[int]]:
    """The candidates of a row of the column."""
    found: list[list[int]] = [[]]
    for token in row:
        if token == _END:
            found.append([])
        elif token != IGNORED:
            found[-1].append(token)
    return found[:-1]


@torch.no_grad()
def likelihoods(network: PreTrainedModel, prompt: Tensor, candidates: Sequence[Sequence[int]]) -> list[float]:
    """Mean natural log-likelihood per token of each text behind one prompt; -inf for a text without tokens.

    The prompt is read once: by a causal network into its cache, by an encoder-decoder through its encoder.

    Args:
        network: in eval mode.
        prompt: (tokens,) ids, at least one.
        candidates: ids of the texts, with what ends them.
    """
    lengths = torch.tensor([len(ids) for ids in candidates], device=prompt.device)
    targets = torch.full((len(candidates), int(lengths.max())), IGNORED, device=prompt.device)
    for row, ids in enumerate(candidates):
        targets[row, : len(ids)] = torch.tensor(ids, device=prompt.device)
    score = _by_encoder if network.config.is_encoder_decoder else _by_cache
    logits = score(network, prompt, targets)
    known = targets != IGNORED
    likely = torch.log_softmax(logits[known].float(), dim=-1).gather(1, targets[known][:, None])[:, 0]
    rows = known.nonzero()[:, 0]
    total = torch.zeros(len(candidates), device=prompt.device).index_add(0, rows, likely)
    means: list[float] = torch.where(lengths > 0, total / lengths, -torch.inf).tolist()
    return means


def _by_cache(network: PreTrainedModel, prompt: Tensor, targets: Tensor) -> Tensor:
    """(candidates, tokens, vocabulary) scores of words, of a causal network."""
    number = len(targets)
    # The last token of the prompt is read with each candidate: it is what the first token is read off.
    opened = torch.cat([prompt[-1:].expand(number, 1), targets[:, :-1].clamp(min=0)], dim=1)
    before = prompt[None, :-1]
    if not before.shape[1]:
        logits: Tensor = network(input_ids=opened).logits
        return logits
    cache = network.base_model(input_ids=before, use_cache=True).past_key_values
    cache.batch_repeat_interleave(number)
    # Padding stands on the right, where nothing that counts looks at it.
    mask = torch.ones(number, before.shape[1] + opened.shape[1], dtype=torch.long, device=prompt.device)
    logits = network(input_ids=opened, attention_mask=mask, past_key_values=cache, use_cache=True).logits
    return logits


def _by_encoder(network: PreTrainedModel, prompt: Tensor, targets: Tensor) -> Tensor:
    """The same, of an encoder-decoder."""
    number = len(targets)
    read = network.get_encoder()(input_ids=prompt[None]).last_hidden_state
    states = BaseModelOutput(last_hidden_state=read.expand(number, -1, -1))
    mask = torch.ones(number, len(prompt), dtype=torch.long, device=prompt.device)
    opened = network.prepare_decoder_input_ids_from_labels(labels=targets)
    logits: Tensor = network(encoder_outputs=states, attention_mask=mask, decoder_input_ids=opened).logits
    return logits
