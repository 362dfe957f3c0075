"""Output kind: the next token at every place of running text, for networks that read from left to right."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rag_lightning.data.records import Record
from rag_lightning.encoding.packing import PADDING, rows_of
from rag_lightning.model.selected_logits import logits_at
from rag_lightning.tasks.outputs.guessed_tokens import IGNORED, Guesses, assemble, decode, guesses_of, loss
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind

EVALUATED_TOKENS = 1024  # whose scores of words are held at a time in an evaluation


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """Rows of running text; columns ``input_ids`` and those of :class:`~rag_lightning.encoding.packing.Row`.

    Lines of a document are joined by a line end, and the end of each document is a token to be learnt.
    """
    names = ("input_ids", "stretches", "begins", "opens", "example", "labels", "n_labels")
    columns: Columns = {name: [] for name in names}
    rows = rows_of(
        records, first, context.words, pack=context.options.pack, line_end="\n", ends_documents=True
    )  # fmt: skip
    for row in rows:
        for name, value in {**row.columns(), "labels": 0, "n_labels": len(row.ids) - 1}.items():
            columns[name].append(value)
    return columns


def forward(network: PreTrainedModel, batch: Batch) -> Guesses:
    """Guess every token but the first of a row; in an evaluation a few rows at a time."""
    rows, length = batch["input_ids"].shape
    if network.training:
        return _guess(network, batch, slice(0, rows))
    step = max(1, EVALUATED_TOKENS // length)
    parts = [_guess(network, batch, slice(start, start + step)) for start in range(0, rows, step)]
    rights = [part.right for part in parts if part.right is not None]
    return Guesses(
        torch.cat([part.losses for part in parts]),
        torch.cat(rights),
        torch.cat([part.rows for part in parts]),
        torch.cat([part.places for part in parts]),
    )


def _guess(network: PreTrainedModel, batch: Batch, part: slice) -> Guesses:
    ids, there = batch["input_ids"][part], batch["attention_mask"][part]
    targets = there.bool() & (batch["labels"][part] != IGNORED).unsqueeze(1)
    targets[:, 0] = False
    before = torch.zeros_like(targets)
    before[:, :-1] = targets[:, 1:]  # a token is read off the place before it
    logits = logits_at(network, before, input_ids=ids, attention_mask=there)
    where: Tensor = targets.nonzero()
    where[:, 0] += part.start
    return guesses_of(logits, ids[targets], where, training=network.training)


NEXT_TOKENS = OutputKind(
    name="next_tokens",
    encode=encode,
    padding=PADDING,
    loss=loss,
    decode=decode,
    assemble=assemble,
    forward=forward,
)
