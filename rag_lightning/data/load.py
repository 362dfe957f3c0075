"""Examples by split, from wherever the config says, with sentences about what was done to them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_lightning.config.inputs import note_input
from rag_lightning.data.counting import count, limit_note
from rag_lightning.data.fields import check_unique_ids, for_task
from rag_lightning.data.files import SplitPaths, ending_of, find_files, find_sample
from rag_lightning.data.load_texts import load_texts, scan_split
from rag_lightning.data.near_duplicates import words_of
from rag_lightning.data.options import SAMPLE_FORMATS, SPLITS, DataConfig
from rag_lightning.data.readers import READERS
from rag_lightning.data.readers.parallel import with_other_side
from rag_lightning.data.reading import TAGGED_TOKENS, Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.data.shots import take_shots, without_labels
from rag_lightning.data.splits import divide, label_types, stratified, subset
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


def load_splits(config: DataConfig, seed: int, reading: Reading = TAGGED_TOKENS) -> LoadedData:
    """Read all splits; cut a missing one from train; keep as many examples as ``config.limit`` says; take shots.

    Args:
        seed: of the random subsets of ``config.limit`` and, if they have none, of the shots. The division has its own,
            ``config.split.seed``.
        reading: what the task reads of a row.

    Raises:
        UserError: for any mistake in the data or the config, with file, line and remedy.
    """
    paths = _paths(config)
    config = for_task(config, reading)
    if _is_running_text(paths, config, reading):
        splits, notes = load_texts(paths, config, seed)
        return LoadedData(splits, notes, [file for files in paths.values() for file in files])
    notes = []
    splits = {}
    blank: list[Record] = []
    for split, files in paths.items():
        splits[split], without = _labelled(split, _read_split(split, files, config, reading, notes), reading, notes)
        blank += without
    splits = _with_missing_splits(splits, config, reading, notes)
    _note_repeated_examples(splits, notes)
    for split in splits:
        splits[split] = _limited(split, splits[split], config, seed, reading, notes)
    labels = tuple(sorted(_types(splits["train"], reading))) if config.few_shot else ()
    read = [file for files in paths.values() for file in with_other_side(files, config)]
    if pool := _pool(splits, config, seed, reading, notes, read) + blank:
        splits["unlabelled"] = pool
    return LoadedData(splits, notes, list(dict.fromkeys(read)), labels)


def _pool(
    splits: Splits, config: DataConfig, seed: int, reading: Reading, notes: list[str], read: list[Path]
) -> list[Record]:
    """The unlabelled texts: what the shots leave of train (which is changed), and those of a file."""
    pool: list[Record] = []
    if config.few_shot:
        shots = take_shots(splits["train"], config, seed, reading)
        splits["train"], pool = shots.chosen, shots.pool
        notes += shots.notes
    if (file := find_unlabelled(config)) is not None:
        texts = read_unlabelled(file, config, reading)
        notes.append(f"{count(len(texts), 'text')} of {file.name} {'is' if len(texts) == 1 else 'are'} unlabelled.")
        pool += texts
        read.append(file)
    return pool


def load_split(config: DataConfig, split: str, reading: Reading = TAGGED_TOKENS) -> LoadedData:
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
    config = for_task(config, reading)
    if _is_running_text(paths, config, reading):
        return LoadedData(scan_split(paths[split], config, split), notes, paths[split])
    records, _ = _labelled(split, _read_split(split, paths[split], config, reading, notes), reading, notes)
    return LoadedData({split: records}, notes, with_other_side(paths[split], config))


def label_field(config: DataConfig, reading: Reading) -> str:
    """Which of the fields that can hold a task's labels the data use.

    Told by the config where it names one of them only, else by the first training example that has one.

    Raises:
        UserError: for a mistake in the data.
    """
    config = for_task(config, reading)
    named = [name for name in reading.labels if config.fields.get(name) is not None or name in (config.join or {})]
    if len(named) == 1:
        return named[0]
    for file in _paths(config).get("train", []):
        for record in READERS[_format(file, config)](file, config, "train"):
            if found := next((name for name in reading.labels if record.get(name) is not None), None):
                return found
    return named[0]


def content_fingerprint(config: DataConfig, only: str | None = None) -> str:
    """sha256 over the bytes of the files that would be read; for the Hub over name, revision and subset.

    The same data in another folder has the same fingerprint. ``only`` a split: the others need not be there.
    """
    digest = hashlib.sha256()
    if config.source == "hub":
        digest.update(f"hub\n{config.hub_dataset}\n{config.revision}\n{config.config}".encode())
        paths: SplitPaths = {}
    else:
        paths = {split: with_other_side(files, config) for split, files in _paths(config, only).items()}
    if only is None and (further := find_unlabelled(config)) is not None:
        paths["unlabelled"] = [further]
    for split, files in paths.items():
        for file in files:
            note_input(file)
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


def _is_running_text(paths: SplitPaths, config: DataConfig, reading: Reading) -> bool:
    """Whether all files are text to learn from, which may be far more than fits into memory."""
    every = [file for files in paths.values() for file in files]
    return reading.of_running_text and all(_format(file, config) == "texts" for file in every)


def _may_be_any_split(config: DataConfig, files: Sequence[Path]) -> bool:
    """Whether a lone file was named by the user, or is not called training data."""
    named = config.path is not None and Path(config.path).expanduser().is_file()
    return named or not any("train" in file.name.lower() for file in files)


def _read_split(
    split: str, files: Sequence[Path], config: DataConfig, reading: Reading, notes: list[str]
) -> list[Record]:
    records = [record for file in files for record in READERS[_format(file, config)](file, config, split)]
    check_unique_ids(records)
    kept = [record for record in records if words_of(record)]
    if len(kept) < len(records):
        notes.append(f"{count(len(records) - len(kept), 'example')} of {split} had no word and was left out.")
    if not kept:
        raise UserError(f"no example of the {split} split has a word", where=str(files[0]), remedy="Check data.fields.")
    return [{"id": f"{split}-{number}", **record} for number, record in enumerate(kept)]


def _is_blank(record: Record, reading: Reading) -> bool:
    """Whether the row leaves its label open."""
    there = [field for field in reading.labels if field in record]
    return bool(there) and all(record[field] is None for field in there)


def _labelled(
    split: str, records: list[Record], reading: Reading, notes: list[str]
) -> tuple[list[Record], list[Record]]:
    """The records with a label, and those whose label is blank, without it; only training data may have such.

    Raises:
        UserError: for a blank label in another split, or if no training example has one.
    """
    blank = [record for record in records if _is_blank(record, reading)]
    if not blank:
        return records, []
    if split != "train" or len(blank) == len(records):
        raise _blank(blank[0], reading)
    verb = "has no label and is" if len(blank) == 1 else "have no label and are"
    notes.append(f"{len(blank):,} of {count(len(records), f'{split} example')} {verb} unlabelled.")
    return [record for record in records if not _is_blank(record, reading)], [
        without_labels(record, reading) for record in blank
    ]


def _blank(record: Record, reading: Reading) -> UserError:
    field = next(field for field in reading.labels if field in record)
    return UserError(
        f"the {field} is empty",
        where=record["source"],
        remedy=f"Write the {field}, or leave the row out (in the training data such rows are unlabelled examples).",
    )


def _format(file: Path, config: DataConfig) -> str:
    return SAMPLE_FORMATS[ending_of(file)] if config.source == "sample" else config.file_format


def _with_missing_splits(splits: Splits, config: DataConfig, reading: Reading, notes: list[str]) -> Splits:
    shares = config.split.shares_without(splits)
    if shares:
        total = len(splits["train"])
        how = config.split
        divided = divide(splits["train"], shares, how.seed, reading, by=how.by, in_order=how.order == "file")
        what = " and ".join(f"{split} ({count(len(divided[split]), 'example')})" for split in shares)
        notes.append(
            f"The data have no {' and no '.join(shares)} split: {what} {'was' if len(shares) == 1 else 'were'} "
            f"cut from the {total:,} training examples, {len(divided['train']):,} are left "
            f"({_how_divided(splits['train'], config, reading)})."
        )
        splits = {**splits, **divided}
    return {split: splits[split] for split in SPLITS if split in splits}


def _how_divided(records: Sequence[Record], config: DataConfig, reading: Reading) -> str:
    together = f"examples of one {config.split.by} kept together" if config.split.by else ""
    if config.split.order == "file":
        parts = ["the last ones in the order of the files", together]
    else:
        by_types = "stratified by label types" if stratified(records, reading) else ""
        parts = [f"data.split.seed={config.split.seed}", by_types, together or "near-duplicates kept on one side"]
    return ", ".join(part for part in parts if part)


def _note_repeated_examples(splits: Splits, notes: list[str]) -> None:
    seen = {tuple(words_of(record)) for record in splits["train"]}
    for split in ("validation", "test"):
        records = splits.get(split, [])
        repeated = sum(tuple(words_of(record)) in seen for record in records)
        if repeated:
            verb = "stands" if repeated == 1 else "stand"
            notes.append(
                f"{repeated:,} of {count(len(records), f'{split} example')} {verb} word for word in train too."
            )


def _limited(
    split: str, records: list[Record], config: DataConfig, seed: int, reading: Reading, notes: list[str]
) -> list[Record]:
    limit = getattr(config.limit, split)
    if limit is None:
        return records
    if limit >= len(records):
        notes.append(limit_note(split, limit, len(records)))
        return records
    kept = subset(records, limit, seed, reading)
    how = f"data.limit.{split}, seed {seed}" + (", stratified by label types" if stratified(records, reading) else "")
    note = f"{count(limit, 'example')} of {len(records):,} kept for {split} ({how})"
    lost = _types(records, reading) - _types(kept, reading)
    notes.append(f"{note}; none of them has {', '.join(sorted(lost)[:10])}." if lost else f"{note}.")
    return kept


def _types(records: Sequence[Record], reading: Reading) -> set[str]:
    return {name for record in records for name in label_types(record, reading)}
