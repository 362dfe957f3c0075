"""Running text by split, for tasks that learn from the texts themselves: nothing is read before it is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rag_lightning.data.counting import count, limit_note
from rag_lightning.data.files import SplitPaths
from rag_lightning.data.options import SPLITS, DataConfig
from rag_lightning.data.records import Splits
from rag_lightning.data.running_text import Paragraphs
from rag_lightning.errors import UserError

Parts = dict[str, Paragraphs]


def load_texts(paths: SplitPaths, config: DataConfig, seed: int) -> tuple[Splits, list[str]]:
    """The paragraphs of all splits, a missing one cut from train, and sentences on what was done.

    Args:
        seed: of the random subsets of ``config.limit``.

    Returns:
        splits whose values are :class:`Paragraphs` (as good as lists to who counts, slices and goes through them), and
        the notes.

    Raises:
        UserError: for any mistake in the files or the config.
    """
    if config.few_shot or config.unlabelled is not None:
        raise UserError(
            "running text has no labels that could be left out",
            where="data.unlabelled" if config.unlabelled is not None else "data.shots",
            remedy="For less text set data.limit.train=…; further text belongs into data.path.",
        )
    notes: list[str] = []
    parts = {split: Paragraphs.scan(files, config, split) for split, files in paths.items()}
    shares = config.split.shares_without(parts)
    if shares:
        total = len(parts["train"])
        parts |= divide(parts["train"], shares, config)
        notes.append(_divided(parts, shares, total, config))
    _note_repeated(parts, notes)
    for split in parts:
        parts[split] = _limited(split, parts[split], config, seed, notes)
    return cast(Splits, {split: parts[split] for split in SPLITS if split in parts}), notes


def scan_split(files: Sequence[Path], config: DataConfig, split: str) -> Splits:
    """One split alone, whole.

    Raises:
        UserError: for any mistake in the files.
    """
    return cast(Splits, {split: Paragraphs.scan(files, config, split)})


def divide(train: Paragraphs, shares: Mapping[str, float], config: DataConfig) -> Parts:
    """Divide whole documents (with ``data.split.by=null`` single paragraphs) into train and the splits of ``shares``.

    Shares are of the bytes. Documents are taken in random order, or with ``data.split.order=file`` the last ones for
    test and those before them for validation; each split keeps the order of the files.

    Raises:
        UserError: fewer documents than splits, or another field to divide by.
    """
    unit = _units(train, config)
    sizes = np.bincount(unit, weights=train.table["size"])
    if len(sizes) <= len(shares):
        what = "document" if config.split.by else "paragraph"
        raise UserError(
            f"{count(len(sizes), what)} cannot be divided into train, {' and '.join(shares)}",
            where="data.split",
            remedy="Say where documents begin (data.document_pattern), or divide by paragraphs: data.split.by=null "
            "data.split.order=file."
            if config.split.by
            else "Give more text, or set data.split.validation=0 and data.split.test=0.",
        )
    if config.split.order == "file":
        order = np.arange(len(sizes))[::-1]
    else:
        order = np.random.default_rng(config.split.seed).permutation(len(sizes))
    owner = np.zeros(len(sizes), dtype=np.int8)  # 0: train
    taken, left = 0, len(shares)
    for number, split in enumerate(sorted(shares, key=("test", "validation").index), start=1):
        left -= 1
        passed = np.cumsum(sizes[order[taken:]])
        wanted = 1 + int(np.searchsorted(passed, shares[split] * sizes.sum()))
        end = min(taken + wanted, len(sizes) - 1 - left)  # one is left for each of the others
        owner[order[taken:end]] = number
        taken = end
    names = ["train", *sorted(shares, key=("test", "validation").index)]
    return {name: train.take(np.flatnonzero(owner[unit] == number), name) for number, name in enumerate(names)}


def _units(train: Paragraphs, config: DataConfig) -> NDArray[Any]:
    """For each paragraph the number of what it stays together with."""
    if config.split.by is None:
        return np.arange(len(train))
    if config.split.by != "document":
        raise UserError(
            f"there is no field `{config.split.by}`, by which paragraphs are to be kept together",
            where="data.split.by",
            remedy="Choose document, or null for single paragraphs.",
        )
    file, document = train.table["file"].astype(np.int64), train.table["document"]
    return np.unique((file << 32) + document, return_inverse=True)[1]


def _divided(parts: Parts, shares: Mapping[str, float], total: int, config: DataConfig) -> str:
    what = " and ".join(f"{split} ({count(len(parts[split]), 'example')})" for split in shares)
    first = (
        "the last ones in the order of the files"
        if config.split.order == "file"
        else f"data.split.seed={config.split.seed}"
    )
    together = "examples of one document kept together" if config.split.by else "paragraph by paragraph"
    return (
        f"The data have no {' and no '.join(shares)} split: {what} {'was' if len(shares) == 1 else 'were'} cut from "
        f"the {total:,} training examples, {len(parts['train']):,} are left ({first}, {together})."
    )


def _note_repeated(parts: Parts, notes: list[str]) -> None:
    for split in ("validation", "test"):
        if split not in parts or "train" not in parts:
            continue
        digests = parts[split].table["digest"]
        if repeated := int(np.isin(digests, parts["train"].table["digest"]).sum()):
            verb = "stands" if repeated == 1 else "stand"
            notes.append(
                f"{repeated:,} of {count(len(digests), f'{split} example')} {verb} word for word in train too."
            )


def _limited(split: str, texts: Paragraphs, config: DataConfig, seed: int, notes: list[str]) -> Paragraphs:
    """A random subset in the order of the files; a smaller one lies inside a larger one."""
    limit = getattr(config.limit, split)
    if limit is None:
        return texts
    if limit >= len(texts):
        notes.append(limit_note(split, limit, len(texts)))
        return texts
    notes.append(f"{count(limit, 'example')} of {len(texts):,} kept for {split} (data.limit.{split}, seed {seed}).")
    return texts.take(np.sort(np.random.default_rng(seed).permutation(len(texts))[:limit]), split)
