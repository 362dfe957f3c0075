"""Output kind of bi-encoders that find the second text which belongs to a first one, among those of the batch."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.tasks.outputs.pair_vectors import SHARPNESS, Vectors, encode_sides, vectors
from rag_lightning.tasks.outputs.sequence_label import answered_once
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind


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
