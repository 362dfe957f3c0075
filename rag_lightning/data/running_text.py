"""Running text that need not fit into memory: paragraphs known by file and bytes, read when they are asked for.

What is kept of a paragraph are 32 bytes, whatever its length. Only a file that is packed (.gz), or whose encoding has
no plain line ends (UTF-16), is unpacked into memory, one at a time.
"""

import hashlib
import io
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast, overload

import numpy as np
from numpy.typing import NDArray

from rag_lightning.data.checking import part_of
from rag_lightning.data.fields import make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.pieces import Source, pieces
from rag_lightning.data.records import Record
from rag_lightning.errors import UserError

_AT_ONCE = 1000  # paragraphs that are read at a time by who wants all of them
# What is known of a paragraph, and the widths of the numbers.
_COLUMNS = {"file": "i", "line": "i", "document": "i", "start": "q", "size": "i", "digest": "q"}

Index = dict[str, NDArray[Any]]
Change = Callable[[list[Record]], list[Record]]


class Paragraphs(Sequence[Record]):
    """Paragraphs of text files as records with ``text`` and ``document``, the place where their document begins.

    It stands in for a list of records wherever records are counted, sliced and gone through.

    Args:
        sources: the files; ``table`` names them by number.
        config: patterns and fields.
        table: column -> a number for each paragraph: file, line, line at which its document begins, first byte, bytes,
            and a hash of its words.
        split: of which the records are, for their ids; None: they get none.
        changes: what is done to records after they were read, some at a time.
    """

    def __init__(
        self, sources: Sequence[Source], config: DataConfig, table: Index, split: str | None,
        changes: tuple[Change, ...] = (),
    ) -> None:  # fmt: skip
        self.sources, self.config, self.table, self.split, self.changes = sources, config, table, split, changes

    @classmethod
    def scan(cls, files: Sequence[Path], config: DataConfig, split: str | None) -> "Paragraphs":
        """The paragraphs of files, which are gone through once, some kilobytes at a time.

        Raises:
            UserError: a file that cannot be read, is not in ``config.encoding``, holds a NUL, or has no text.
        """
        sources = [Source.of(path, config.encoding) for path in files]
        columns = {name: array(width) for name, width in _COLUMNS.items()}
        for number, source in enumerate(sources):
            before = len(columns["file"])
            for values in _scan(source, config):
                for name, value in zip(_COLUMNS, (number, *values), strict=True):
                    columns[name].append(value)
            if len(columns["file"]) == before:
                raise UserError(
                    "the file is empty",
                    where=str(source.path),
                    remedy="Put text in it, or choose other files with data.path.",
                )
        index = {name: np.frombuffer(values, dtype=values.typecode) for name, values in columns.items()}
        return cls(sources, config, index, split)

    def __len__(self) -> int:
        return len(self.table["file"])

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, slice):
            return self._read(np.arange(*place.indices(len(self))))
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self._read(np.array([place % len(self)]))[0]

    def __iter__(self) -> Iterator[Record]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self[start : start + _AT_ONCE]

    def take(self, chosen: NDArray[Any], split: str) -> "Paragraphs":
        """Some of the paragraphs, as those of a split."""
        index = {name: values[chosen] for name, values in self.table.items()}
        return Paragraphs(self.sources, self.config, index, split, self.changes)

    def mapped(self, change: Change) -> "Paragraphs":
        """The paragraphs with a change that is made whenever some are read."""
        return Paragraphs(self.sources, self.config, self.table, self.split, (*self.changes, change))

    def _read(self, places: NDArray[Any]) -> list[Record]:
        rows = zip(places.tolist(), *(self.table[name][places].tolist() for name in _COLUMNS), strict=True)
        records: list[Record] = []
        number, stream = -1, cast(BinaryIO, io.BytesIO())
        try:
            for place, file, line, document, start, size, _ in rows:
                if file != number:
                    stream.close()
                    number, stream = file, self.sources[file].open()
                stream.seek(start)
                text = stream.read(size).decode(self.sources[file].codec)
                records.append(self._record(place, self.sources[file].path, line, document, text))
        finally:
            stream.close()
        for change in self.changes:
            records = change(records)
        return records

    def _record(self, place: int, path: Path, line: int, document: int, text: str) -> Record:
        where = f"{path}:{line}"
        row = {"text": _shown(text.strip(), self.config, where), "document": f"{path.name}:{document}"}
        record = make_record(row, self.config, where, f"{path.name}:{line}")
        return record if self.split is None else {"id": f"{self.split}-{place}", **record}


def _shown(line: str, config: DataConfig, where: str) -> str:
    if config.token_pattern is None:
        return line
    pattern, words = config.token_pattern, enumerate(line.split())
    return " ".join(part_of(word, pattern, f"word {number}", "token_pattern", where) for number, word in words)


def _scan(source: Source, config: DataConfig) -> Iterator[tuple[int, int, int, int, int]]:
    """Line, line of the document, first byte, bytes and hash of each paragraph of a file."""
    border = re.compile(config.document_pattern) if config.document_pattern is not None else None
    begins, document = True, 0
    for piece in pieces(source):
        if not piece.text.strip():
            begins = begins or (border is None and piece.opens)
            continue
        if begins or (border is not None and piece.opens and border.search(piece.text)):
            begins, document = False, piece.line
        yield piece.line, document, piece.start, piece.size, _digest(piece.text)


def _digest(text: str) -> int:
    """Of the words: equal for paragraphs that differ in white space only."""
    digest = hashlib.blake2b(" ".join(text.split()).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
