"""Ctrl-C and SIGTERM: finish the step, save, and leave; a second Ctrl-C leaves at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from rag_lightning.console import say

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GracefulStop:
    """While entered, the first signal only sets ``requested``; earlier handlers come back on leaving.

    Attributes:
        signals_seen: in this process so far: a sweep takes no further trial after one.
        early: whether a signal came while a trial was still being planned: its training ends after the first step.
    """

    signals_seen = 0
    early = False

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "GracefulStop":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._on_signal)
        if GracefulStop.early:  # read after the handlers stand, and never set back: no signal is lost in between
            self.requested = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        GracefulStop.signals_seen += 1
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        say("\nstopping after this step, the state is being saved (Ctrl-C again: stop at once)")
