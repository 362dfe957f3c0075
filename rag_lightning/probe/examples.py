"""Labelled examples that a probe asks about: read as a task reads them, but never what the run learnt from."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from rag_lightning.data.load import content_fingerprint, load_splits
from rag_lightning.data.options import SPLITS, DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record
from rag_lightning.errors import UserError
from rag_lightning.probe.probe import ProbeOptions

SplitName = Literal["auto", "train", "validation", "test", "all"]
ENOUGH = 300  # examples of a test split, with which chance counts for little


def examples(
    data: DataConfig, reading: Reading, options: ProbeOptions, split: SplitName, trained_on: str, *, where: str
) -> list[Record]:
    """The examples of a split, or of all splits, that are left when ``options.limit`` is kept.

    Args:
        split: ``auto`` is test where it has :data:`ENOUGH` examples or the run learns from these data, else all.
        trained_on: :func:`labelled_content` of the data that the run learns from.
        where: the setting that names the data, for messages.

    Raises:
        UserError: for a mistake in the data, a split that is not there, or one that the run learns from.
    """
    splits = load_splits(data, data.split.seed, reading).splits
    learnt = labelled_content(data) == trained_on
    if split == "auto":
        test = splits.get("test", [])
        split = "test" if learnt or len(test) >= ENOUGH else "all"
    if learnt and split in ("train", "all"):
        raise UserError(
            "the run learns from the very examples that this probe would ask about", where=where,
            remedy="Set the probe's split to test, or give it other data.",
        )  # fmt: skip
    names = [name for name in SPLITS if split in (name, "all")]
    records = [record for name in names for record in splits.get(name, [])]
    if len(records) < 2:
        raise UserError(f"the data have no {split} split", where=where, remedy="Choose another split of the probe.")
    return limited(records, options.limit, options.seed)


def labelled_content(data: DataConfig) -> str:
    """Fingerprint of the content of the labelled data: beside further texts without labels they are the same.

    Raises:
        UserError: if the data are not there.
    """
    alone = {"unlabelled": None, "shots": None, "shots_per_label": None}  # with shots a sample brings further texts
    return content_fingerprint(data.model_copy(update=alone))


def limited(records: Sequence[Any], limit: int | None, seed: int) -> list[Any]:
    """That many of the records, drawn at random and in their order; those of a lower limit are among them."""
    order = np.random.default_rng(seed).permutation(len(records))
    return [records[place] for place in sorted(order[:limit])]


def above_chance(chance: float, number: int) -> float:
    """The share from which on luck (two standard errors of ``number`` guesses) is no explanation."""
    return chance + 2 * float(np.sqrt(chance * (1 - chance) / max(number, 1)))


def content_of(*parts: Any) -> str:
    """Fingerprint of texts and numbers."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode("utf-8", "replace")).hexdigest()
