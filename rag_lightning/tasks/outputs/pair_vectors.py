"""Output kinds of bi-encoders: each text of a pair is read by itself, as the mean of its last hidden states.

Vectors of texts can be computed once and compared ever after (Reimers & Gurevych 2019, "Sentence-BERT"). A row holds
both texts one after the other; ``first_size`` says where the second begins.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rag_lightning.data.records import Record
from rag_lightning.decoding.vectors import LINE, assemble_scores
from rag_lightning.encoding.rows.separate_texts import encode_sides
from rag_lightning.encoding.rows.texts import labelled
from rag_lightning.model.pair_head import NAME as HEAD
from rag_lightning.model.pair_head import PairHead
from rag_lightning.model.pooling import masked_mean
from rag_lightning.tasks.outputs import value
from rag_lightning.tasks.outputs.sequence_label import SEQUENCE_LABEL
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind

SHARPNESS = 20.0  # of cosines in the losses that rank, as in the papers
_WASTE = 1.2  # padding that one pass for both texts may cost beside two passes


class Vectors(NamedTuple):
    """Of the first and the second texts of a batch, (rows, width) each, in float32."""

    first: Tensor
    second: Tensor

    def cosines(self) -> Tensor:
        """Of each pair, (rows,)."""
        return F.cosine_similarity(self.first, self.second, dim=-1)


# --- input ------------------------------------------------------------------------------------------------------


def vectors(network: nn.Module, batch: Batch) -> Vectors:
    """The mean of the last hidden states of each text."""
    sizes = batch["first_size"].unsqueeze(1)
    rests = batch["attention_mask"].sum(dim=1, keepdim=True) - sizes
    ids = batch["input_ids"]
    widths = int(sizes.max()), int(rests.max())
    together = 2 * max(widths) <= _WASTE * sum(widths)
    if together:
        widths = max(widths), max(widths)
    places = [torch.arange(width, device=ids.device).unsqueeze(0) for width in widths]
    masks = [(place < size).long() for place, size in zip(places, (sizes, rests), strict=True)]
    last = ids.shape[1] - 1
    # What the mask hides may be any token: it is not read.
    one = ids.gather(1, places[0].expand(len(ids), -1).clamp_max(last))
    other = ids.gather(1, (places[1] + sizes).clamp_max(last))
    if together:
        both = _means(network, torch.cat([one, other]), torch.cat(masks))
        return Vectors(both[: len(ids)], both[len(ids) :])
    return Vectors(_means(network, one, masks[0]), _means(network, other, masks[1]))


def _means(network: nn.Module, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    hidden = network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    return masked_mean(hidden.float(), attention_mask)


# --- labels: a softmax over both vectors and their difference -----------------------------------------------------


def _encode_labels(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    return labelled(encode_sides(records, first, context), records, context)


def _label_logits(network: nn.Module, batch: Batch) -> Tensor:
    logits: Tensor = getattr(network, HEAD)(*vectors(network, batch))
    return logits


def _add_head(kind: OutputKind, network: Any, context: EncodingContext) -> OutputKind:
    network.add_module(HEAD, PairHead(int(network.config.hidden_size), len(context.labels)))
    return kind


# A label for each pair, by a layer of its own.
PAIR_SOFTMAX = replace(
    SEQUENCE_LABEL,
    name="pair_vectors",
    encode=_encode_labels,
    forward=_label_logits,
    head="vectors",
    equip=_add_head,
    shape="vectors.LABEL",
)


# --- scores: the cosine ---------------------------------------------------------------------------------------


def _encode_scores(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    columns = encode_sides(records, first, context)
    columns["labels"] = value.targets(records, context.labels)
    columns["n_labels"] = [int(target != value.UNKNOWN) for target in columns["labels"]]
    return columns


def _cosines(network: nn.Module, batch: Batch) -> Tensor:
    return vectors(network, batch).cosines()


def cosent_loss(cosines: Tensor, batch: Batch) -> Tensor:
    """That pairs with a higher score have a higher cosine, whatever it is: ``log(1 + sum exp(s (cos_j - cos_i)))``
    over all i, j of the batch where i scores higher (Huang et al. 2024, "CoSENT: Consistent Sentence Embedding via
    Similarity Ranking"; s is :data:`SHARPNESS`).

    Times the number of pairs, since losses are sums. Over several devices each ranks its own share of the batch.

    Args:
        cosines: (rows,).
        batch: with ``labels`` (rows,).
    """
    known = batch["labels"] != value.UNKNOWN
    found, target = cosines[known], batch["labels"][known]
    higher = target.unsqueeze(1) > target.unsqueeze(0)
    gaps = SHARPNESS * (found.unsqueeze(0) - found.unsqueeze(1))[higher]
    return torch.logsumexp(torch.cat([gaps.new_zeros(1), gaps]), dim=0) * known.sum() + 0.0 * cosines.sum()


def cosine_loss(cosines: Tensor, batch: Batch) -> Tensor:
    """Squared difference of cosine and target, summed (Reimers & Gurevych 2019); arguments as above."""
    target = batch["labels"].float()
    return torch.where(target != value.UNKNOWN, (cosines - target) ** 2, 0.0).sum()


def _decode_cosines(cosines: Tensor, batch: Batch) -> dict[str, Any]:
    numbers = {name: batch[name].cpu().numpy() for name in ("example", "cut")}
    return {**numbers, "cosine": cosines.float().cpu().numpy()}


def choose_line(network: Any, records: Sequence[Record], predictions: Sequence[dict[str, Any]]) -> None:
    """Keep in the network's config the line from cosines to heights on the scale that fits these records best.

    A loss that ranks leaves cosines where they are, as long as their order is right. Where no rising line fits, none
    is kept.

    Args:
        network: its config names the ends of the scale.
        records: of validation.
        predictions: with ``cosine``.
    """
    ends = [network.config.id2label[place] for place in range(2)]
    cosines = np.array([prediction["cosine"] for prediction in predictions])
    slope, start = 0.0, 0.0
    if len(cosines) > 1 and np.ptp(cosines) > 0:
        slope, start = np.polyfit(cosines, value.targets(records, ends), 1)
    setattr(network.config, LINE, [float(slope), float(start)] if slope > 0 else [1.0, 0.0])


def _read_line(kind: OutputKind, network: Any, context: EncodingContext) -> OutputKind:
    return replace(kind, assemble=partial(assemble_scores, config=network.config))


# How alike the texts of each pair are.
PAIR_COSENT = OutputKind(
    name="pair_vectors", encode=_encode_scores, padding={}, loss=cosent_loss, decode=_decode_cosines,
    assemble=assemble_scores, forward=_cosines, head="vectors", equip=_read_line,
    shape="vectors.SCORE",
)  # fmt: skip
PAIR_COSINE = replace(PAIR_COSENT, loss=cosine_loss)
