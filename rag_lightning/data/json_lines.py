"""Records in a file of JSON lines, read when they are asked for: a list of them all may not fit into memory."""

import json
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from rag_lightning.data.records import Record

_BLOCK = 1 << 18  # bytes that are searched for line ends at a time


class JsonLines(Sequence[Record]):
    """The objects of a file, one a line, as a sequence; 8 bytes a line are kept in memory.

    The file is memory-mapped: what was opened stays readable when another is put in its place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:  # an empty file cannot be mapped
            empty = not path.stat().st_size
            self._bytes: mmap.mmap | bytes = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        ends = [np.zeros(1, dtype=np.int64)]
        for start in range(0, len(self._bytes), _BLOCK):
            block = np.frombuffer(self._bytes[start : start + _BLOCK], dtype=np.uint8)
            ends.append(np.flatnonzero(block == ord("\n")) + start + 1)
        self._ends = np.concatenate(ends)

    def __reduce__(self) -> tuple[type["JsonLines"], tuple[Path]]:
        return JsonLines, (self.path,)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        record: Record = json.loads(self._bytes[int(self._ends[place]) : int(self._ends[place + 1])])
        return record

    def __iter__(self) -> Iterator[Record]:
        return (self[place] for place in range(len(self)))
