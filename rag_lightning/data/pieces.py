"""A text file in pieces: its lines, and of lines that are longer than a few kilobytes some kilobytes at a time."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from rag_lightning.data.text import read_text
from rag_lightning.errors import UserError

PIECE = 4096  # bytes: some corpora are a single line
_HEAD = 1 << 16  # bytes by which the kind of line ends is told
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Source:
    """A text file as bytes with plain line ends.

    Attributes:
        encoding: as the user names it.
        plain: the file's own bytes can be cut at line ends; else it is unpacked into memory as UTF-8.
    """

    path: Path
    encoding: str
    plain: bool

    @classmethod
    def of(cls, path: Path, encoding: str) -> "Source":
        """Look at a file's first bytes.

        Raises:
            UserError: if it cannot be read.
        """
        with _opened(path) as file:
            head = file.read(_HEAD)
        old_line_ends = b"\r" in head and b"\n" not in head  # as on the first Macintosh
        marked = head.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16: read_text says so
        plain = path.suffix != ".gz" and "\n".encode(encoding) == b"\n" and not old_line_ends and not marked
        return cls(path, encoding, plain)

    @property
    def codec(self) -> str:
        """The encoding of what :meth:`open` gives."""
        return self.encoding if self.plain else "utf-8"

    @property
    def in_utf8(self) -> bool:
        return self.codec.lower().replace("_", "-") in ("utf-8", "utf8")

    def open(self) -> BinaryIO:
        """The bytes, without a byte order mark if they were unpacked.

        Raises:
            UserError: if the file cannot be read or, where it is unpacked, is no sound text.
        """
        if self.plain:
            return _opened(self.path)
        return io.BytesIO(_unpacked(self.path, self.encoding, self.path.stat().st_mtime_ns))


class Piece(NamedTuple):
    """A line without its end, or a piece of a long line.

    Attributes:
        line: its number, from 1.
        start: its first byte; ``size``: its bytes, the line's end among them.
        opens: whether the line begins here.
    """

    line: int
    start: int
    size: int
    text: str
    opens: bool


def pieces(source: Source) -> Iterator[Piece]:
    """All pieces of a file, in order.

    Raises:
        UserError: not in its encoding, or with a NUL.
    """
    line, opens = 1, True
    with source.open() as stream:
        start = len(_MARK) if source.in_utf8 and stream.read(len(_MARK)) == _MARK else 0
        stream.seek(start)
        while raw := stream.readline(PIECE):
            raw = _cut(raw, stream, source.in_utf8)
            text = _decoded(raw, source, line, start)
            yield Piece(line, start, len(raw), text.removesuffix("\n").removesuffix("\r"), opens)
            start, opens = start + len(raw), raw.endswith(b"\n")
            stream.seek(start)
            line += opens


def _cut(raw: bytes, stream: BinaryIO, in_utf8: bool) -> bytes:
    """A line as it is; of one that goes on as much as ends with a space, or at least with a whole character."""
    if raw.endswith(b"\n") or len(raw) < PIECE:
        return raw
    if (space := raw.rfind(b" ")) > 0:
        return raw[: space + 1]
    if not in_utf8:  # where a character begins cannot be told
        return raw + stream.readline()
    end = len(raw) - 1
    while end > 1 and raw[end] & 0xC0 == 0x80:
        end -= 1
    return raw[:end]


def _decoded(raw: bytes, source: Source, line: int, start: int) -> str:
    where = f"{source.path}:{line}"
    try:
        text = raw.decode(source.codec)
    except UnicodeDecodeError as error:
        other = "latin-1" if "utf" in source.codec.lower() else "utf-8"
        raise UserError(
            f"the file is not {source.codec.upper()}: byte 0x{raw[error.start]:02x} at offset {start + error.start:,}",
            where=where,
            remedy=f"Set data.encoding={other}, or save the file as UTF-8.",
        ) from None
    if (nul := text.find("\x00")) >= 0:
        raise UserError(
            f"a NUL character stands at character {nul + 1} of the line",
            where=where,
            remedy="Remove it, or check that the file was written completely and is not a binary file.",
        )
    return text


def _opened(path: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, path.open("rb"))
    except OSError as error:
        raise UserError(
            f"the file cannot be read ({error.strerror})", where=str(path), remedy="Check its rights and the disk."
        ) from None


@lru_cache(maxsize=1)
def _unpacked(path: Path, encoding: str, changed: int) -> bytes:
    """A file as UTF-8 with plain line ends; ``changed`` tells a file from the one that was there before."""
    return read_text(path, encoding).encode("utf-8", "surrogatepass")
