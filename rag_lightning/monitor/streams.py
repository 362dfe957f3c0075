"""Standard input and pipes as a source."""

import os
import select

from rag_lightning.monitor.lines import LONGEST

CHUNK = 1 << 20  # bytes read at a time


class StreamSource:
    """Lines of standard input or a pipe, which cannot be read again.

    What was read and not yet written is lost by a kill. Messages with an ``id`` may be sent again.
    """

    position = None

    def __init__(self, descriptor: int) -> None:
        self.ended = False
        self._descriptor = descriptor
        self._rest = b""
        self._lines: list[bytes] = []
        self._closed = False

    def read(self, limit: int) -> list[bytes]:
        while not self._lines and not self._closed and select.select([self._descriptor], [], [], 0)[0]:
            chunk = os.read(self._descriptor, CHUNK)
            self._closed = not chunk
            *lines, rest = (self._rest + chunk).split(b"\n")
            self._lines, self._rest = lines, rest if len(rest) <= LONGEST else rest[: LONGEST + 1]
        if self._closed and self._rest:
            self._lines, self._rest = [*self._lines, self._rest], b""
        taken, self._lines = self._lines[:limit], self._lines[limit:]
        self.ended = self._closed and not self._lines
        return taken

    def wait(self, seconds: float) -> None:
        select.select([self._descriptor], [], [], seconds)

    def close(self) -> None:
        if self._descriptor:
            os.close(self._descriptor)
