"""Output kinds of bi-encoders: each text of a pair is read by itself, as the mean of its last hidden states.

Vectors of texts can be computed once and compared ever after (Reimers & Gurevych 2019, "Sentence-BERT"). A row holds
both texts one after the other; ``first_size`` says where the second begins.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rag_lightning.data.records import Record
from rag_lightning.encoding.segments import encode_segments, shorten
from rag_lightning.model.pair_head import NAME as HEAD
from rag_lightning.model.pair_head import PairHead
from rag_lightning.model.pooling import masked_mean
from rag_lightning.tasks.outputs import sequence_label, value
from rag_lightning.tasks.outputs.sequence_label import SEQUENCE_LABEL, answered_once
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind

SHARPNESS = 20.0  # of cosines in the losses that rank, as in the papers
LINE = "rag_lightning_score_line"  # in the config of a network: slope and start of the line from cosines to scores
_WASTE = 1.2  # padding that one pass for both texts may cost beside two passes


class Vectors(NamedTuple):
    """Of the first and the second texts of a batch, (rows, width) each, in float32."""

    first: Tensor
    second: Tensor

    def cosines(self) -> Tensor:
        """Of each pair, (rows,)."""
        return F.cosine_similarity(self.first, self.second, dim=-1)


# --- input ------------------------------------------------------------------------------------------------------


def encode_sides(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """Both texts of each pair, rendered each by itself: ``input_ids``, ``first_size``, ``example``, ``cut``."""
    words = context.words
    columns: Columns = {"input_ids": [], "first_size": [], "example": [], "cut": []}
    rendered = encode_segments([side for record in records for side in sides(record)], context.render, words)
    for number, pair in enumerate(zip(rendered[::2], rendered[1::2], strict=True), start=first):
        rows, lost = [], 0
        for parts in pair:
            kept, cut = shorten(parts, words.room)
            shown = [token for part in kept for piece in part.pieces for token in piece]
            rows.append([*words.prefix, *shown, *words.suffix])
            own = {part.segment.field for part in parts if part.segment.rank == 0}
            lost += sum(tokens for field, tokens in cut.items() if field in own)
        columns["input_ids"].append([*rows[0], *rows[1]])
        columns["first_size"].append(len(rows[0]))
        columns["example"].append(number)
        columns["cut"].append(lost)
    return columns


def sides(record: Record) -> tuple[Record, Record]:
    """The two texts of a pair as records of one text, each with its own hits."""
    border = len(record["first"]) + 1
    rest = {name: each for name, each in record.items() if name not in ("first", "second", "text", "hits")}
    one, other = {**rest, "text": record["first"]}, {**rest, "text": record["second"]}
    if "hits" in record:
        one["hits"] = [hit for hit in record["hits"] if hit[0] < border]
        other["hits"] = [[hit[0] - border, hit[1] - border, *hit[2:]] for hit in record["hits"] if hit[0] >= border]
    return one, other


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
    return sequence_label.labelled(encode_sides(records, first, context), records, context)


def _label_logits(network: nn.Module, batch: Batch) -> Tensor:
    logits: Tensor = getattr(network, HEAD)(*vectors(network, batch))
    return logits


def _add_head(kind: OutputKind, network: Any, context: EncodingContext) -> OutputKind:
    network.add_module(HEAD, PairHead(int(network.config.hidden_size), len(context.labels)))
    return kind


# A label for each pair, by a layer of its own.
PAIR_SOFTMAX = replace(
    SEQUENCE_LABEL, name="pair_vectors", encode=_encode_labels, forward=_label_logits, head="vectors", equip=_add_head
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


def _assemble_scores(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...], config: Any = None
) -> list[dict[str, Any]]:
    """Per record ``{"score", "cosine", "cut"}``: the score lies on the line that :func:`choose_line` found, else as
    far up the scale as the cosine is between 0 and 1."""
    low, high = map(float, labels)
    slope, start = getattr(config, LINE, (1.0, 0.0))
    found = answered_once(records, decoded, {"cosine": 1, "cut": 1})
    heights = np.clip(slope * found["cosine"][:, 0] + start, 0.0, 1.0)
    return [
        {"score": round(low + (high - low) * float(height), 4), "cosine": float(cosine), "cut": int(cut)}
        for height, cosine, cut in zip(heights, found["cosine"][:, 0], found["cut"][:, 0], strict=True)
    ]


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
    return replace(kind, assemble=partial(_assemble_scores, config=network.config))


# How alike the texts of each pair are.
PAIR_COSENT = OutputKind(
    name="pair_vectors", encode=_encode_scores, padding={}, loss=cosent_loss, decode=_decode_cosines,
    assemble=_assemble_scores, forward=_cosines, head="vectors", equip=_read_line,
)  # fmt: skip
PAIR_COSINE = replace(PAIR_COSENT, loss=cosine_loss)


# --- retrieval: the right second text among those of the batch ---------------------------------------------------


def is_related(record: Record, labels: Sequence[str]) -> bool:
    """Whether a pair belongs together: it has the last one of the labels, or none because all do."""
    return record.get("label") in (None, labels[-1])


def _encode_related(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """``labels`` is 1 for a pair that belongs together, else 0; equal texts have an equal ``…_key``."""
    columns = encode_sides(records, first, context)
    columns["labels"] = [int(is_related(record, context.labels)) for record in records]
    columns["n_labels"] = columns["labels"]
    for side in ("first", "second"):
        columns[f"{side}_key"] = [zlib.crc32(record[side].encode()) & 0x7FFFFFFF for record in records]
    return columns


def in_batch_loss(outputs: Vectors, batch: Batch) -> Tensor:
    """Cross-entropy of each first text over the second texts of the batch, of which its own is the right one
    (Henderson et al. 2017, "Efficient Natural Language Response Suggestion for Smart Reply"), summed.

    Second texts of pairs that do not belong together are wrong for all. Left out are copies of the right one, and what
    else belongs to the same first text. Over several devices each sees its own share of the batch.

    Args:
        outputs: of the batch.
        batch: with ``labels``, ``first_key`` and ``second_key`` (rows,).
    """
    first, second = (F.normalize(each, dim=-1) for each in outputs)
    related = batch["labels"] == 1
    same_second = batch["second_key"].unsqueeze(1) == batch["second_key"].unsqueeze(0)
    also_right = (batch["first_key"].unsqueeze(1) == batch["first_key"].unsqueeze(0)) & related.unsqueeze(0)
    own = torch.eye(len(related), dtype=torch.bool, device=related.device)
    scores = (SHARPNESS * first @ second.T).masked_fill((same_second | also_right) & ~own, float("-inf"))
    return -torch.log_softmax(scores, dim=-1).diagonal()[related].sum() + 0.0 * first.sum()


def _decode_vectors(outputs: Vectors, batch: Batch) -> dict[str, Any]:
    first, second = (F.normalize(each, dim=-1).cpu().numpy() for each in outputs)
    numbers = {name: batch[name].cpu().numpy() for name in ("example", "cut")}
    return {**numbers, "first": first, "second": second}


def _assemble_similarity(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...], among_all: bool = False
) -> list[dict[str, Any]]:
    """Per record ``{"score", "cut"}``, the cosine; with ``among_all`` also ``better`` and ``equal``, which count the
    second texts of other pairs that are more alike to the first text, or as much, what belongs to it left out, ``of``
    so many."""
    width = decoded[0]["first"].shape[1] if decoded else 1
    found = answered_once(records, decoded, {"first": width, "second": width, "cut": 1})
    cosines = (found["first"] * found["second"]).sum(axis=1)
    answers = [
        {"score": round(float(cosine), 4), "cut": int(cut)}
        for cosine, cut in zip(cosines, found["cut"][:, 0], strict=True)
    ]
    if among_all:
        ranks = _ranks(records, found["first"], found["second"], labels)
        answers = [{**answer, **rank} for answer, rank in zip(answers, ranks, strict=True)]
    return answers


def _ranks(
    records: Sequence[Record], first: np.ndarray, second: np.ndarray, labels: Sequence[str]
) -> list[dict[str, int]]:
    places: dict[str, int] = {}  # each second text once
    for row, record in enumerate(records):
        places.setdefault(record["second"], row)
    column = {text: number for number, text in enumerate(places)}
    candidates = second[list(places.values())]
    right: dict[str, set[int]] = {}
    for record in records:
        if is_related(record, labels):
            right.setdefault(record["first"], set()).add(column[record["second"]])
    ranks = []
    for row, record in enumerate(records):
        own = column[record["second"]]
        scores = candidates @ first[row]
        others = np.ones(len(candidates), dtype=bool)
        others[[own, *right.get(record["first"], ())]] = False
        # Copies differ by rounding: what is as alike to seven digits is equal.
        better, least = (int((scores[others] > scores[own] + margin).sum()) for margin in (1e-7, -1e-7))
        ranks.append({"better": better, "equal": least - better, "of": int(others.sum())})
    return ranks


# Whether the texts of each pair belong together.
PAIR_RELATED = OutputKind(
    name="pair_vectors", encode=_encode_related, padding={}, loss=in_batch_loss, decode=_decode_vectors,
    assemble=_assemble_similarity, forward=vectors, head="vectors",
)  # fmt: skip


PAIR_RELATED_AMONG_ALL = replace(PAIR_RELATED, assemble=partial(_assemble_similarity, among_all=True))
BI_ENCODERS: dict[str, OutputKind] = {
    "softmax": PAIR_SOFTMAX, "cosent": PAIR_COSENT, "cosine": PAIR_COSINE, "in_batch": PAIR_RELATED,
}  # fmt: skip
