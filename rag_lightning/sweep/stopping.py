"""Ctrl-C and SIGTERM in a sweep: every worker ends its step, saves, and takes no further trial."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from rag_lightning.console import say
from rag_lightning.sweep.order import STOP
from rag_lightning.training.stop import SIGNALS, GracefulStop


class _Handlers:
    """While entered, signals come to :meth:`on_signal`; earlier handlers come back on leaving."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        raise NotImplementedError

    def install(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self.on_signal)

    def remove(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class WorkerStop(_Handlers):
    """Whether a worker shall take no further trial: it was sent a signal, or the sweep says so in its folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / STOP
        self._seen_before = GracefulStop.signals_seen
        self._left = threading.Event()

    @property
    def requested(self) -> bool:
        return GracefulStop.signals_seen > self._seen_before

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if GracefulStop.early:
            raise KeyboardInterrupt
        GracefulStop.signals_seen += 1
        GracefulStop.early = True

    def _watch(self) -> None:
        while not self._left.wait(0.5):
            if self._file.exists():
                if not self.requested:  # Ctrl-C in a terminal reaches workers too: a second signal would kill the step
                    os.kill(os.getpid(), signal.SIGINT)  # a run in training hears it as it hears any other
                return

    def __enter__(self) -> "WorkerStop":
        self.install()
        if self._before:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left.set()
        self.remove()
        GracefulStop.early = False


class SweepStop(_Handlers):
    """The sweep's own process: the first signal tells all workers through the folder, the second leaves at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / STOP
        self._signalled = False

    @property
    def requested(self) -> bool:
        """Whether it was, here or in another terminal that does the same sweep."""
        return self._signalled or self._file.exists()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True
        self._file.touch()
        say("\nstopping the sweep: workers end their step and save (Ctrl-C again: stop at once)")

    def __enter__(self) -> "SweepStop":
        self._file.unlink(missing_ok=True)
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()
