"""Where messages come from: a file that may grow, be cut off or be replaced; or a stream such as standard input.

A source hands out whole lines and knows its position behind the last one. The position is kept with the messages, so
that a monitor that is started again reads on there.
"""

import contextlib
import hashlib
import os
import select
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from rag_lightning.errors import UserError
from rag_lightning.monitor.lines import LONGEST
from rag_lightning.monitor.streams import CHUNK, StreamSource

GUARD = 1024  # bytes at the beginning and before the position by which content is known again
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read.

    Attributes:
        offset: bytes, always behind a line end.
        identity: device and inode; a renamed file keeps it.
        guard: digest of the first and the last bytes before ``offset``: whether the content is still the same.
    """

    offset: int
    identity: str
    guard: str


class Source(Protocol):
    """Whole lines, as they come."""

    ended: bool

    @property
    def position(self) -> Position | None: ...

    def read(self, limit: int) -> list[bytes]:
        """Up to ``limit`` lines that are there, without their ends; none if nothing is there now."""

    def wait(self, seconds: float) -> None:
        """Until something may be there, at most so long."""

    def close(self) -> None: ...


def open_source(name: str, position: Position | None, *, follow: bool, tell: Tell) -> Source:
    """The source of that name: ``-``, a pipe or a file.

    Raises:
        UserError: if it is a folder, cannot be read, or is not there and is not to be waited for.
    """
    if name == "-":
        return StreamSource(0)
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            raise UserError("a folder is no source", where=str(path), remedy="Give one file, or - for standard input.")
        if path.exists() and not stat.S_ISREG(mode := path.stat().st_mode):
            # A pipe ends when its last writer closes it; one that is followed has this process as a writer too.
            return StreamSource(os.open(path, os.O_RDWR if follow and stat.S_ISFIFO(mode) else os.O_RDONLY))
        if not path.exists() and not follow:
            raise UserError("the file does not exist", where=str(path), remedy="With follow=true it is waited for.")
        return FileSource(path, position, follow=follow, tell=tell)
    except OSError as error:
        raise UserError(
            f"the source cannot be read ({error.strerror})", where=str(path), remedy="Check its permissions."
        ) from None


class FileSource:
    """Whole lines of a file; a half-written last line waits for its end.

    Args:
        path: the file, which need not be there yet.
        position: how far it was read before.
        follow: the end of the file is not the end of the source.
        tell: takes a sentence about what happened to the file.
    """

    def __init__(self, path: Path, position: Position | None, *, follow: bool, tell: Tell) -> None:
        self.path, self.follow, self.tell, self.ended = path, follow, tell, False
        self._file: BinaryIO | None = None
        self._offset = 0
        self._scanned = 0  # bytes behind the offset that are known to hold no line end
        self._last_guard = ""
        self._missing_told = False
        self._begin(position)

    @property
    def position(self) -> Position | None:
        if self._file is None:
            return None
        return Position(self._offset, _identity(os.fstat(self._file.fileno())), _guard(self._file, self._offset))

    def read(self, limit: int) -> list[bytes]:
        if self._file is None and not self._open_new():
            return []
        assert self._file is not None
        if not _intact(self._file, self._offset, self._last_guard):
            self._restart("was cut off or written anew")
        lines = list(self._lines(limit))
        if not lines and self._was_replaced():  # the old file may have grown until just then
            lines = list(self._lines(limit)) or self._rest_of_replaced() or list(self._lines(limit))
        self._last_guard = _guard(self._file, self._offset) if self._file is not None else ""
        self.ended = not lines and not self.follow
        return lines

    def wait(self, seconds: float) -> None:
        select.select([], [], [], seconds)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def half_line(self) -> int:
        """Bytes behind the last line end."""
        return 0 if self._file is None else os.fstat(self._file.fileno()).st_size - self._offset

    def _begin(self, position: Position | None) -> None:
        """Open the file where it was left, wherever that one is now."""
        if not self.path.exists() and position is None:
            return
        candidates = [self.path] if self.path.exists() else []
        if position is not None:
            renamed = [each for each in self._siblings() if self._is_renamed(each, position)]
            for candidate in [*renamed, *candidates]:
                file = _opened(candidate)
                if file is None:
                    continue
                if _intact(file, position.offset, position.guard):
                    self._file, self._offset, self._last_guard = file, position.offset, position.guard
                    if candidate != self.path:
                        self.tell(f"{self.path} was replaced; the rest of {candidate.name} is read first")
                    return
                file.close()
            if candidates:
                self.tell(
                    f"{self.path} is not the file that was read before, or was cut off or written anew: it is read "
                    "from its beginning. Lines that were added before that and not read are lost to the monitor"
                )
        if candidates:
            self._file = _opened(self.path)

    def _is_renamed(self, file: Path, position: Position) -> bool:
        """Whether this is the file that was read; where nothing of it was, its name tells so too (inodes return)."""
        return _identity_of(file) == position.identity and (
            bool(position.offset) or file.name.startswith(self.path.stem)
        )

    def _siblings(self) -> list[Path]:
        """Files of the folder; the source itself first."""
        if not self.path.parent.is_dir():
            return []
        return sorted((each for each in self.path.parent.iterdir() if each.is_file()), key=lambda p: p != self.path)

    def _open_new(self) -> bool:
        self._file = _opened(self.path)
        if self._file is None:
            if not self._missing_told:
                self.tell(f"{self.path} is not there: waiting for it")
            self._missing_told, self.ended = True, not self.follow
            return False
        self._offset, self._scanned, self._missing_told = 0, 0, False
        self._last_guard = _guard(self._file, 0)
        return True

    def _restart(self, what: str) -> None:
        self.tell(f"{self.path} {what}: it is read from its beginning")
        self._offset, self._scanned = 0, 0

    def _was_replaced(self) -> bool:
        """Whether another file has the source's name."""
        assert self._file is not None
        now = _identity_of(self.path)
        return now is not None and now != _identity(os.fstat(self._file.fileno()))

    def _rest_of_replaced(self) -> list[bytes]:
        """Go over to the new file; what stood behind the last line end of the old one is its last line."""
        assert self._file is not None
        new = _opened(self.path)
        if new is None:  # gone again: look later
            return []
        old, offset, guard = self._file, self._offset, _guard(self._file, self._offset)
        old.seek(offset)
        rest = old.read(LONGEST + 1)
        self._file, self._scanned = new, 0
        if offset and _intact(self._file, offset, guard):  # the same content, saved by renaming, as editors do
            old.close()
            return []
        self._offset = 0
        self.tell(f"{self.path} was replaced: the old file is read to its end, the new one from its beginning")
        old.close()
        return [rest] if rest else []

    def _lines(self, limit: int) -> Iterator[bytes]:
        """Whole lines from the offset on, which moves behind each."""
        assert self._file is not None
        count = 0
        while count < limit:
            self._file.seek(self._offset + self._scanned)
            chunk = self._file.read(CHUNK)
            if b"\n" not in chunk:
                if not chunk:
                    return
                self._scanned += len(chunk)
                continue
            if self._scanned:  # the line began before this chunk
                self._file.seek(self._offset)
                length = self._scanned + chunk.index(b"\n")
                yield self._file.read(min(length, LONGEST + 1))
                self._offset, self._scanned = self._offset + length + 1, 0
                count += 1
                continue
            *whole, _ = chunk.split(b"\n")
            for line in whole[: limit - count]:
                self._offset += len(line) + 1
                count += 1
                yield line


def _opened(path: Path) -> BinaryIO | None:
    """The file, to be read; None if it is not there.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        return os.fdopen(os.open(path, os.O_RDONLY), "rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"the source cannot be read ({error.strerror})", where=str(path), remedy="Check its permissions."
        ) from None


def _identity(state: os.stat_result) -> str:
    return f"{state.st_dev}:{state.st_ino}"


def _identity_of(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        return _identity(path.stat())
    return None


def _guard(file: BinaryIO, offset: int) -> str:
    digest = hashlib.sha256()
    for place, length in ((0, min(offset, GUARD)), (max(0, offset - GUARD), min(offset, GUARD))):
        digest.update(os.pread(file.fileno(), length, place))
    return digest.hexdigest()[:32]


def _intact(file: BinaryIO, offset: int, guard: str) -> bool:
    """Whether the file still holds what was read of it."""
    return not offset or (os.fstat(file.fileno()).st_size >= offset and _guard(file, offset) == guard)
