"""Output kind of bi-encoders that find the second text which belongs to a first one, among those of the batch."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.decoding.vectors import assemble_similarity, is_related
from rag_lightning.tasks.outputs.pair_vectors import SHARPNESS, Vectors, encode_sides, vectors
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind


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


# Whether the texts of each pair belong together.
PAIR_RELATED = OutputKind(
    name="pair_vectors", encode=_encode_related, padding={}, loss=in_batch_loss, decode=_decode_vectors,
    assemble=assemble_similarity, forward=vectors, head="vectors", shape="vectors.RELATED",
)  # fmt: skip
PAIR_RELATED_AMONG_ALL = replace(PAIR_RELATED, assemble=partial(assemble_similarity, among_all=True))
