"""Output kind: a stretch of a text that answers a question (Devlin et al. 2019, section 4.2).

The network scores every sub-token as the first and as the last of the answer. A text longer than the window is read in
overlapping windows, each with the question; a window without the answer points at the first token, which stands for
"no answer".
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rag_lightning.data.records import Record
from rag_lightning.decoding.answers import N_BEST, assemble
from rag_lightning.encoding.rows.spans import IGNORED, NO_ANSWER, encode
from rag_lightning.model.interface import accepted_inputs
from rag_lightning.tasks.task import EncodingContext, OutputKind

LONGEST = 30


def forward(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Scores of each token as the first and as the last of the answer, (rows, tokens, 2)."""
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    if _tells_texts_apart(network):
        # As a pair of texts in pretraining: what precedes the text is 0, the text and its end 1.
        inputs["token_type_ids"] = (_positions(batch) >= batch["text_start"].unsqueeze(1)) * batch["attention_mask"]
    output = network(**inputs)
    return torch.stack((output.start_logits, output.end_logits), dim=-1)


def _tells_texts_apart(network: nn.Module) -> bool:
    types = int(getattr(network.config, "type_vocab_size", None) or 0)
    return types > 1 and "token_type_ids" in accepted_inputs(network)


def _positions(batch: dict[str, Tensor]) -> Tensor:
    """(1, tokens)."""
    return torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device).unsqueeze(0)


def _inside(batch: dict[str, Tensor]) -> Tensor:
    """Whether a token is one of the text, (rows, tokens)."""
    positions = _positions(batch)
    return (positions >= batch["text_start"].unsqueeze(1)) & (positions < batch["text_end"].unsqueeze(1))


def _log_probabilities(logits: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Over the text's tokens and the one for no answer, (rows, tokens, 2); and which tokens are the text's."""
    inside = _inside(batch)
    possible = inside | (_positions(batch) == NO_ANSWER)
    masked = logits.float().masked_fill(~possible.unsqueeze(-1), torch.finfo(torch.float32).min)
    return torch.log_softmax(masked, dim=1), inside


def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Summed cross-entropy of the first and the last token over the tokens that they may be.

    Args:
        logits: (rows, tokens, 2).
        batch: with ``labels`` (rows, 2), ``text_start`` and ``text_end`` (rows,) and, optionally, ``weight`` (rows,).
    """
    found, _ = _log_probabilities(logits, batch)
    each = F.nll_loss(found, batch["labels"], ignore_index=IGNORED, reduction="none")
    if (weight := batch.get("weight")) is not None:
        each = each * weight.to(each.dtype).unsqueeze(1)
    return each.sum()


def decode(logits: Tensor, batch: dict[str, Tensor], *, n_best: int = N_BEST, longest: int = LONGEST) -> dict[str, Any]:
    """The best stretches of every window by the product of the probabilities of their ends, and that of no answer.

    Args:
        logits: (rows, tokens, 2).
        batch: as for :func:`loss`, with ``begins`` and ``ends`` (rows, tokens of the text).
        n_best: stretches of each window.
        longest: tokens of a stretch.

    Returns:
        Arrays with an entry for each row; ``score``, ``begin`` and ``end`` have one for each stretch, the score -inf
        where there is none.
    """
    found, inside = _log_probabilities(logits, batch)
    tokens = found.shape[1]
    longest = min(longest, tokens)
    first, last = (found[..., side].masked_fill(~inside, -torch.inf) for side in (0, 1))
    ends = F.pad(last, (0, longest - 1), value=-torch.inf).unfold(1, longest, 1)  # a view: (rows, tokens, longest)
    score, place = (first.unsqueeze(-1) + ends).flatten(1).topk(min(n_best, tokens * longest))
    start = place // longest
    limit = max(0, batch["begins"].shape[1] - 1)
    offset = batch["text_start"].unsqueeze(1)
    # A score of -inf may stand anywhere; its place is only kept within the table.
    begins, ends_ = (
        F.pad(batch[name], (0, 1)).gather(1, (token - offset).clamp(0, limit))
        for name, token in (("begins", start), ("ends", start + place % longest))
    )
    arrays = {"score": score, "begin": begins, "end": ends_, "no_answer": found[:, NO_ANSWER].sum(-1)}
    arrays |= {name: batch[name] for name in ("example", "window", "windows")}
    return {name: tensor.cpu().numpy() for name, tensor in arrays.items()}


def equip(kind: OutputKind, network: Any, context: EncodingContext) -> OutputKind:
    """The kind that is silent where the network's config says so."""

    def silenced(
        records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        return assemble(records, decoded, labels, n_best=context.options.n_best, config=network.config)

    return replace(kind, assemble=silenced)


SPAN = OutputKind(
    name="span",
    encode=encode,
    padding={"labels": IGNORED, "begins": 0, "ends": 0},
    loss=loss,
    decode=decode,
    assemble=assemble,
    forward=forward,
    equip=equip,
    shape="spans.SPAN",
)
