"""What the two ways to learn from running text share: how well tokens were guessed, counted for each record."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.tasks.task import Batch

IGNORED = -100  # in column ``labels``: a copy of a row that only keeps devices in step


class Guesses(NamedTuple):
    """How the network guessed the tokens that it was asked for, in reading order.

    Attributes:
        losses: (n,), the negative logarithm of each one's probability.
        right: (n,), whether it was the likeliest; None in training.
        rows, places: (n,), where they stand in the batch.
    """

    losses: Tensor
    right: Tensor | None
    rows: Tensor
    places: Tensor


def guesses_of(logits: Tensor, targets: Tensor, where: Tensor, *, training: bool) -> Guesses:
    """From scores (n, vocabulary) at the places ``where`` (n, 2) the losses of the targets (n,)."""
    losses = F.cross_entropy(logits.float(), targets, reduction="none")
    right = None if training else logits.argmax(dim=-1) == targets
    return Guesses(losses, right, where[:, 0], where[:, 1])


def loss(guesses: Guesses, batch: Batch) -> Tensor:
    """The mean loss, times the labels that the batch is told to have.

    How many words a step of training masks is left to chance, ``n_labels`` is not; in an evaluation both are equal
    and this is the sum.
    """
    return guesses.losses.sum() * (batch["n_labels"].sum() / max(1, len(guesses.losses)))


def decode(guesses: Guesses, batch: Batch) -> dict[str, Any]:
    """For each stretch of a row the record it is of, its guessed tokens, their summed loss, and how many were right.

    Args:
        guesses: of an evaluation.
        batch: with ``stretches`` and ``begins`` (rows, stretches), ``opens`` (rows,) and ``labels`` (rows,).
    """
    assert guesses.right is not None
    begins = batch["begins"]
    inside = (begins[guesses.rows] <= guesses.places.unsqueeze(1)).sum(dim=1) - 1
    where = guesses.rows * begins.shape[1] + inside

    def summed(values: Tensor) -> Tensor:
        zero = torch.zeros(begins.numel(), dtype=torch.float64)
        return zero.index_add_(0, where.cpu(), values.detach().double().cpu())

    opens = torch.ones_like(begins)
    opens[:, 0] = batch["opens"]
    there = (batch["stretches"] >= 0).flatten().cpu()
    counts = {
        "loss": summed(guesses.losses),
        "tokens": summed(torch.ones_like(guesses.losses)),
        "right": summed(guesses.right),
        "opens": opens.flatten().cpu(),
    }
    example = batch["stretches"].flatten().cpu()[there].numpy()
    return {"example": example, **{name: values[there].numpy() for name, values in counts.items()}}


def assemble(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Per record ``{"tokens", "loss", "right"}``: how many were guessed, their summed loss, how many were right.

    Raises:
        RuntimeError: if a record was not shown, or twice (a defect, never to be passed over).
    """
    names = ("tokens", "loss", "right", "opens")
    sums = {name: np.zeros(len(records)) for name in names}
    for part in decoded:
        for name in names:
            np.add.at(sums[name], part["example"], part[name])
    if wrong := int((sums["opens"] != 1).sum()):
        raise RuntimeError(f"{wrong} texts were not shown exactly once")
    columns = zip(sums["tokens"].tolist(), sums["loss"].tolist(), sums["right"].tolist(), strict=True)
    return [{"tokens": int(tokens), "loss": loss, "right": int(right)} for tokens, loss, right in columns]
