"""Output kind: the words behind masks, learnt from running text (BERT, Devlin et al. 2019).

In training other words are masked at every step: of the chosen ones 80 % of the tokens become the mask, 10 % another
token, 10 % stay. With whole words all pieces of a word are chosen together. An evaluation masks words that the text
itself decides, all by the mask, so that any two networks with one tokenizer are asked the same.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from rag_lightning.data.records import Record
from rag_lightning.encoding.packing import NO_WORD, PADDING, Row, rows_of
from rag_lightning.errors import UserError
from rag_lightning.model.selected_logits import logits_at
from rag_lightning.tasks.outputs.guessed_tokens import IGNORED, Guesses, assemble, decode, guesses_of, loss
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind

MASKED, CHANGED = 0.8, 0.9  # a chosen token is masked below the first, changed below the second, else kept
NO_PLACE = -1


@dataclass(frozen=True)
class Masking:
    """What is drawn from in training.

    Attributes:
        probability: of a word to be chosen; ``hit_probability``: of one on which a rule speaks.
        mask: the tokenizer's id of the mask.
        ordinary: (n,), the ids that a chosen token may be changed to: all but the special ones.
    """

    probability: float
    hit_probability: float
    mask: int
    ordinary: Tensor


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """Rows of running text.

    Columns ``input_ids``, ``words`` (the number of each token's word), ``masked`` (the places that an evaluation
    masks), ``hits`` where rules were applied, and those of :class:`~rag_lightning.encoding.packing.Row`.
    """
    options = context.options
    ruled = any("hits" in record for record in records)
    names = ("input_ids", "words", "masked", "stretches", "begins", "opens", "example", "labels", "n_labels")
    columns: Columns = {name: [] for name in (*names, *(["hits"] if ruled else []))}
    for row in rows_of(records, first, context.words, pack=options.pack):
        words = row.words if options.whole_words else _own_words(row.words)
        masked = evaluated_places(row.ids, words, options.mask_probability)
        values = {
            **row.columns(), "words": words.tolist(), "masked": masked.tolist(), "labels": 0, "n_labels": len(masked),
        }  # fmt: skip
        if ruled:
            values["hits"] = _in_words(row, words).astype(int).tolist()
        for name, value in values.items():
            columns[name].append(value)
    return columns


def _own_words(words: NDArray[Any]) -> NDArray[Any]:
    """Every token as a word of its own."""
    result = np.full(len(words), NO_WORD, dtype=np.int64)
    real = words != NO_WORD
    result[real] = np.arange(int(real.sum()))
    return result


def _in_words(row: Row, words: NDArray[Any]) -> NDArray[np.bool_]:
    """Which tokens belong to a word on which a rule speaks."""
    return np.isin(words, words[row.hits & (words != NO_WORD)])


def evaluated_places(ids: NDArray[Any], words: NDArray[Any], probability: float) -> NDArray[Any]:
    """The places of a row that an evaluation masks: decided by its tokens alone, at least one word if it has any."""
    if not (words != NO_WORD).any():
        return np.zeros(0, dtype=np.int64)
    noise = np.random.default_rng(zlib.crc32(ids.tobytes())).random(int(words.max()) + 1)
    chosen = noise < max(probability, noise.min() + 1e-9)
    return np.flatnonzero((words != NO_WORD) & chosen[words])


def equip(kind: OutputKind, network: nn.Module, context: EncodingContext) -> OutputKind:
    """The kind that knows its tokenizer's mask.

    Raises:
        UserError: if there is none.
    """
    tokenizer, options = context.words.tokenizer, context.options
    if tokenizer.mask_token_id is None:
        raise UserError(
            "the tokenizer of this backbone has no mask",
            where="task.objective",
            remedy='Name one in its tokenizer_config.json ("mask_token": "[MASK]"), or choose another backbone.',
        )
    special = set(tokenizer.all_special_ids)
    ordinary = torch.tensor([number for number in range(len(tokenizer)) if number not in special])
    masking = Masking(options.mask_probability, options.mask_hits, int(tokenizer.mask_token_id), ordinary)
    return replace(kind, forward=partial(forward, masking=masking))


def not_equipped(network: nn.Module, batch: Batch) -> Guesses:
    """What stands in for :func:`forward` until the kind is equipped."""
    raise RuntimeError("this output kind masks only once it is equipped with its tokenizer")


def forward(network: PreTrainedModel, batch: Batch, masking: Masking) -> Guesses:
    """Guess the words behind masks: new ones in training, the row's own in an evaluation."""
    ids = batch["input_ids"]
    if network.training:
        chosen = draw_words(batch, masking)
        shown = corrupted(ids, chosen, masking)
    else:
        chosen = _at(batch["masked"], ids.shape[1])
        shown = torch.where(chosen, masking.mask, ids)
    logits = logits_at(network, chosen, input_ids=shown, attention_mask=batch["attention_mask"])
    return guesses_of(logits, ids[chosen], chosen.nonzero(), training=network.training)


def draw_words(batch: Batch, masking: Masking) -> Tensor:
    """(rows, tokens), which tokens are to be guessed: all of a word or none, never a special token."""
    words = batch["words"]
    noise = torch.rand(words.shape[0], int(words.max().clamp_min(0)) + 1, device=words.device)
    noise = noise.gather(1, words.clamp_min(0))
    probability = torch.full_like(noise, masking.probability)
    if "hits" in batch:
        probability[batch["hits"] == 1] = masking.hit_probability
    return (words != NO_WORD) & (batch["labels"] != IGNORED).unsqueeze(1) & (noise < probability)


def corrupted(ids: Tensor, chosen: Tensor, masking: Masking) -> Tensor:
    """The tokens with most of the chosen ones masked, some changed, some left as they are."""
    fate = torch.rand(ids.shape, device=ids.device)
    ordinary = masking.ordinary.to(ids.device)
    others = ordinary[torch.randint(len(ordinary), ids.shape, device=ids.device)]
    shown = torch.where(chosen & (fate < MASKED), masking.mask, ids)
    return torch.where(chosen & (fate >= MASKED) & (fate < CHANGED), others, shown)


def _at(places: Tensor, length: int) -> Tensor:
    """(rows, length), True at the places (rows, n) that are not :data:`NO_PLACE`."""
    there = torch.zeros(len(places), length + 1, dtype=torch.bool, device=places.device)
    there.scatter_(1, torch.where(places == NO_PLACE, length, places), True)
    return there[:, :length]


MASKED_TOKENS = OutputKind(
    name="masked_tokens",
    encode=encode,
    padding={**PADDING, "words": NO_WORD, "masked": NO_PLACE, "hits": 0},
    loss=loss,
    decode=decode,
    assemble=assemble,
    forward=not_equipped,
    equip=equip,
)
