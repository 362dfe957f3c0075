"""Examples by split, from wherever the config says, with sentences about what was done to them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_lightning.data.fields import check_unique_ids, for_task
from rag_lightning.data.files import SplitPaths, ending_of, find_files, find_sample
from rag_lightning.data.near_duplicates import words_of
from rag_lightning.data.options import SPLITS, DataConfig
from rag_lightning.data.readers import READERS
from rag_lightning.data.records import Record, Splits
from rag_lightning.data.shots import take_shots
from rag_lightning.data.splits import divide, label_types, subset
from rag_lightning.data.unlabelled import find_unlabelled, read_unlabelled
from rag_lightning.errors import UserError


@dataclass(frozen=True)
class LoadedData:
    """What was read.

    Attributes:
        splits: train, and validation and test unless their share is 0; with shots, or a file of further texts, also
            unlabelled: records without the task's labels.
        notes: sentences that a reader of the results should know.
        files: the files that were read, each once.
        labels: with shots the labels (types of entity) of all training examples, since a few need not have them all;
            else empty.
    """

    splits: Splits
    notes: list[str]
    files: list[Path]
    labels: tuple[str, ...] = ()


def load_splits(config: DataConfig, seed: int, label_field: str = "tags") -> LoadedData:
    """Read all splits; cut a missing one from train; keep as many examples as ``config.limit`` says; take shots.

    Args:
        seed: of the random subsets of ``config.limit`` and, if they have none, of the shots. The division has its own,
            ``config.split.seed``.
        label_field: the field of a record by which examples are stratified.

    Raises:
        UserError: for any mistake in the data or the config, with file, line and remedy.
    """
    paths = _paths(config)
    config = for_task(config, label_field)
    notes: list[str] = []
    splits: Splits = {}
    blank: list[Record] = []
    for split, files in paths.items():
        splits[split], without = _labelled(split, _read_split(split, files, config, notes), notes)
        blank += without
    splits = _with_missing_splits(splits, config, label_field, notes)
    _note_repeated_examples(splits, notes)
    for split in splits:
        splits[split] = _limited(split, splits[split], config, seed, label_field, notes)
    labels = tuple(sorted(_types(splits["train"], label_field))) if config.few_shot else ()
    read = [file for files in paths.values() for file in files]
    if pool := _pool(splits, config, seed, label_field, notes, read) + blank:
        splits["unlabelled"] = pool
    return LoadedData(splits, notes, list(dict.fromkeys(read)), labels)


def _pool(
    splits: Splits, config: DataConfig, seed: int, label_field: str, notes: list[str], read: list[Path]
) -> list[Record]:
    """The unlabelled texts: what the shots leave of train (which is changed), and those of a file."""
    pool: list[Record] = []
    if config.few_shot:
        shots = take_shots(splits["train"], config, seed, label_field)
        splits["train"], pool = shots.chosen, shots.pool
        notes += shots.notes
    if (file := find_unlabelled(config)) is not None:
        texts = read_unlabelled(file, config, label_field)
        notes.append(f"{_count(len(texts), 'text')} of {file.name} {'is' if len(texts) == 1 else 'are'} unlabelled.")
        pool += texts
        read.append(file)
    return pool


def load_split(config: DataConfig, split: str, label_field: str = "tags") -> LoadedData:
    """One split alone, whole and as it is: for evaluating on other data. A lone file is the split that is asked for.

    Raises:
        UserError: if the data have several splits and not this one, or for any mistake in them.
    """
    paths = _paths(config, only=split)
    if split not in paths and list(paths) == ["train"] and _may_be_any_split(config, paths["train"]):
        paths = {split: paths["train"]}
    if split not in paths:
        raise UserError(
            f"the data have no {split} split", where="split", remedy=f"Set split to one of: {', '.join(paths)}."
        )
    notes: list[str] = []
    records, _ = _labelled(split, _read_split(split, paths[split], for_task(config, label_field), notes), notes)
    return LoadedData({split: records}, notes, list(paths[split]))


def content_fingerprint(config: DataConfig, only: str | None = None) -> str:
    """sha256 over the bytes of the files that would be read; for the Hub over name, revision and subset.

    The same data in another folder has the same fingerprint. ``only`` a split: the others need not be there.
    """
    digest = hashlib.sha256()
    if config.source == "hub":
        digest.update(f"hub\n{config.hub_dataset}\n{config.revision}\n{config.config}".encode())
        paths: SplitPaths = {}
    else:
        paths = dict(_paths(config, only))
    if only is None and (further := find_unlabelled(config)) is not None:
        paths["unlabelled"] = [further]
    for split, files in paths.items():
        for file in files:
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{split} {content}\n".encode())
    return digest.hexdigest()


def _paths(config: DataConfig, only: str | None = None) -> SplitPaths:
    if config.source == "sample":
        return find_sample(config)
    if config.source == "files":
        return find_files(config, only)
    from rag_lightning.data.readers import hub  # huggingface_hub takes long to import and is rarely needed

    return hub.download(config)


def _may_be_any_split(config: DataConfig, files: Sequence[Path]) -> bool:
    """Whether a lone file was named by the user, or is not called training data."""
    named = config.path is not None and Path(config.path).expanduser().is_file()
    return named or not any("train" in file.name.lower() for file in files)


def _read_split(split: str, files: Sequence[Path], config: DataConfig, notes: list[str]) -> list[Record]:
    records = [record for file in files for record in READERS[_format(file, config)](file, config, split)]
    check_unique_ids(records)
    kept = [record for record in records if words_of(record)]
    if len(kept) < len(records):
        notes.append(f"{_count(len(records) - len(kept), 'example')} of {split} had no word and was left out.")
    if not kept:
        raise UserError(f"no example of the {split} split has a word", where=str(files[0]), remedy="Check data.fields.")
    return [{"id": f"{split}-{number}", **record} for number, record in enumerate(kept)]


def _labelled(split: str, records: list[Record], notes: list[str]) -> tuple[list[Record], list[Record]]:
    """The records with a label, and those whose label is blank, without it; only training data may have such.

    Raises:
        UserError: for a blank label in another split, or if no training example has one.
    """
    blank = [record for record in records if "label" in record and record["label"] is None]
    if not blank:
        return records, []
    if split != "train" or len(blank) == len(records):
        raise UserError(
            "the label is empty",
            where=blank[0]["source"],
            remedy="Write the label, or leave the row out (in the training data such rows are unlabelled examples).",
        )
    verb = "has no label and is" if len(blank) == 1 else "have no label and are"
    notes.append(f"{len(blank):,} of {_count(len(records), f'{split} example')} {verb} unlabelled.")
    labelled = [record for record in records if record["label"] is not None]
    return labelled, [{key: value for key, value in record.items() if key != "label"} for record in blank]


def _format(file: Path, config: DataConfig) -> str:
    return ending_of(file) if config.source == "sample" else config.file_format


def _with_missing_splits(splits: Splits, config: DataConfig, label_field: str, notes: list[str]) -> Splits:
    shares = {
        split: share
        for split, share in (("validation", config.split.validation), ("test", config.split.test))
        if split not in splits and share > 0
    }
    if shares:
        total = len(splits["train"])
        divided = divide(splits["train"], shares, config.split.seed, label_field)
        what = " and ".join(f"{split} ({_count(len(divided[split]), 'example')})" for split in shares)
        notes.append(
            f"The data have no {' and no '.join(shares)} split: {what} {'was' if len(shares) == 1 else 'were'} "
            f"cut from the {total:,} training examples, {len(divided['train']):,} are left "
            f"(data.split.seed={config.split.seed}, stratified by label types, near-duplicates kept on one side)."
        )
        splits = {**splits, **divided}
    return {split: splits[split] for split in SPLITS if split in splits}


def _note_repeated_examples(splits: Splits, notes: list[str]) -> None:
    seen = {tuple(words_of(record)) for record in splits["train"]}
    for split in ("validation", "test"):
        records = splits.get(split, [])
        repeated = sum(tuple(words_of(record)) in seen for record in records)
        if repeated:
            verb = "stands" if repeated == 1 else "stand"
            notes.append(
                f"{repeated:,} of {_count(len(records), f'{split} example')} {verb} word for word in train too."
            )


def _limited(
    split: str, records: list[Record], config: DataConfig, seed: int, label_field: str, notes: list[str]
) -> list[Record]:
    limit = getattr(config.limit, split)
    if limit is None:
        return records
    if limit >= len(records):
        notes.append(f"data.limit.{split}={limit:,} changes nothing: there are {_count(len(records), 'example')}.")
        return records
    kept = subset(records, limit, seed, label_field)
    note = (
        f"{_count(limit, 'example')} of {len(records):,} kept for {split} (data.limit.{split}, seed {seed}, "
        "stratified by label types)"
    )
    lost = _types(records, label_field) - _types(kept, label_field)
    notes.append(f"{note}; none of them has {', '.join(sorted(lost)[:10])}." if lost else f"{note}.")
    return kept


def _types(records: Sequence[Record], label_field: str) -> set[str]:
    return {name for record in records for name in label_types(record, label_field)}


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
