"""Encoded data on disk: written once, memory-mapped ever after, shared by processes.

An entry is a folder named by the fingerprint of all that went into it. It appears whole or not at all (written
beside, then renamed), and a lock keeps two processes from doing the same work twice.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock

from rag_lightning.data.json_lines import JsonLines
from rag_lightning.data.records import Record
from rag_lightning.tasks.task import Columns

Write = Callable[[Path], None]
LARGE_FILE = 1 << 26  # bytes from which records are read one by one when they are asked for


@dataclass(frozen=True)
class EncodedSplit:
    """One split's model inputs as memory-mapped Arrow, and the records they were made of.

    Attributes:
        lengths: tokens that each row counts in a batch.
        n_labels: labels of each row.
    """

    table: pa.Table
    records: Sequence[Record]
    lengths: np.ndarray
    n_labels: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def open(cls, folder: Path, split: str) -> "EncodedSplit":
        """Map ``<split>.arrow`` and read ``<split>.jsonl`` of a cache entry."""
        with pa.memory_map(str(folder / f"{split}.arrow")) as source:
            table = pa.ipc.open_file(source).read_all()
        file = folder / f"{split}.jsonl"
        records: Sequence[Record] = JsonLines(file)
        if file.stat().st_size < LARGE_FILE:
            records = list(records)
        return cls(table, records, _lengths(table), table.column("n_labels").to_numpy())


def _lengths(table: pa.Table) -> np.ndarray:
    if "cost" in table.column_names:
        return table.column("cost").to_numpy()
    lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in table.column("input_ids").chunks]
    return np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64)


def write_split(folder: Path, split: str, records: Sequence[Record], batches: Iterable[Columns]) -> None:
    """Write the columns, batch by batch, and the records of a split.

    Each file is put in place whole: another process that writes the same may have it open.
    """
    writer: pa.RecordBatchFileWriter | None = None
    table, lines_file = folder / f"{split}.arrow", folder / f"{split}.jsonl"
    beside = [file.with_name(f"{file.name}.{os.getpid()}") for file in (table, lines_file)]
    with pa.OSFile(str(beside[0]), "wb") as sink:
        for columns in batches:
            batch = pa.record_batch({name: _array(name, values) for name, values in columns.items()})
            if writer is None:
                writer = pa.ipc.new_file(sink, batch.schema)
            if batch.num_rows or writer is None:
                writer.write_batch(batch)
        assert writer is not None, "a split has at least one batch, if an empty one"
        writer.close()
    with open(beside[1], "w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    for written, file in zip(beside, (table, lines_file), strict=True):
        written.replace(file)


_NARROW = ("input_ids", "labels", "words", "begins", "ends")  # numbers that fit 32 bits; bit masks of rules need more


def _array(name: str, values: list[Any]) -> pa.Array:
    if not values or isinstance(values[0], list):
        return pa.array(values, type=pa.list_(pa.int32() if name in _NARROW else pa.int64()))
    return pa.array(values, type=pa.float32() if isinstance(values[0], float) else pa.int32())


def _taken_as_it_is(entry: Path) -> bool:
    return True


def cached(
    root: Path, fingerprint: str, write: Write, is_whole: Callable[[Path], bool] = _taken_as_it_is
) -> tuple[Path, bool]:
    """The cache entry of a fingerprint, made by ``write(folder)`` if it is not there yet.

    Args:
        is_whole: tells of an entry's folder whether it is as it was made; a damaged one is made anew.

    Returns:
        The entry's folder, and whether it had been there already.
    """
    entry = root / fingerprint
    if entry.is_dir() and is_whole(entry):
        return entry, True
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(str(root / f"{fingerprint}.lock")):
        if entry.is_dir():
            if is_whole(entry):  # another process made it while we waited
                return entry, True
            shutil.rmtree(entry)
        beside = Path(tempfile.mkdtemp(prefix=f".{fingerprint}-", dir=root))
        try:
            write(beside)
            os.replace(beside, entry)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    return entry, False
