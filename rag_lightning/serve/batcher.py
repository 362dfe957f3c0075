"""What waits is answered together: a thread for each run, which alone uses its network."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError

Answers = Callable[[list[Record], Any], Sequence[Any]]


class Full(Exception):
    """More waits than may."""


class Closed(Exception):
    """Nothing more is taken."""


@dataclass(eq=False)
class Work:
    """A request: records that are answered in the same way, some at a time."""

    records: list[Record]
    way: Any
    future: Future[list[Any]] = field(default_factory=Future)
    begun: int = 0
    done: list[Any] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.records) - self.begun


@dataclass(eq=False)
class Telling:
    """A text that is written piece by piece; ``tell`` is called in the batcher's thread with pieces, then the end."""

    pieces: Callable[[], Generator[str, None, dict[str, Any]]]
    tell: Callable[[str, Any], None]
    cancelled: threading.Event = field(default_factory=threading.Event)


class Batcher:
    """Requests in turn: of each as many records as fit, so that a long list does not keep out a single text.

    Args:
        answers: ``(records, way)`` -> an answer each; sorts them by length itself.
        most: records at a time.
        wait: seconds that the first record of a batch waits for others.
        queue: records that may wait.
        together: whether records of several requests are answered together.
        observe: told the size of every batch.
    """

    def __init__(
        self, answers: Answers, *, most: int, wait: float, queue: int, together: bool = True,
        observe: Callable[[int], None] = lambda size: None, name: str = "run",
    ) -> None:  # fmt: skip
        self._answers, self._most, self._wait, self._queue = answers, most, wait, queue
        self._together, self._observe = together, observe
        self._works: deque[Work] = deque()
        self._tellings: deque[Telling] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"batches of {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Records that wait."""
        with self._changed:
            return self._waiting()

    def submit(self, records: list[Record], way: Any = None) -> Future[list[Any]]:
        """The future answers of some records; cancelling the future takes back what has not begun.

        Raises:
            Full: if too much waits.
            Closed: after :meth:`close`.
        """
        work = Work(records, way)
        with self._changed:
            self._let_in(len(records))
            if records:
                self._works.append(work)
                self._changed.notify()
        if not records:
            work.future.set_result([])
        return work.future

    def tell(self, telling: Telling) -> None:
        """Let a text be written, when its turn comes; raises as :meth:`submit`."""
        with self._changed:
            self._let_in(1)
            self._tellings.append(telling)
            self._changed.notify()

    def close(self, timeout: float | None = None) -> None:
        """Take nothing more, answer what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _let_in(self, size: int) -> None:
        if self._closed:
            raise Closed
        if self._waiting() + size > self._queue:
            raise Full

    def _waiting(self) -> int:
        return sum(work.left for work in self._works) + len(self._tellings)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._works or self._tellings or self._closed)
                if self._closed and not self._works and not self._tellings:
                    return
                telling = self._tellings.popleft() if self._tellings else None
            if telling is not None:
                _write(telling)
            if parts := self._next():
                self._answer(parts)

    def _next(self) -> list[tuple[Work, list[Record]]]:
        """The records of the next batch, by the requests that they are of."""
        with self._changed:
            if self._together and self._wait and self._works:
                until = time.monotonic() + self._wait
                while self._waiting() < self._most and not self._closed and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
            while self._works and self._works[0].future.cancelled():
                self._works.popleft()
            if not self._works:
                return []
            way = self._works[0].way
            chosen = [work for work in self._works if work.way == way and not work.future.cancelled()]
            chosen = chosen if self._together else chosen[:1]
            parts = _shares(chosen, self._most)
            served = [work for work, _ in parts]
            unfinished = [work for work in self._works if work.left and not work.future.cancelled()]
            # Who had a share stands behind those who had none.
            self._works = deque(sorted(unfinished, key=lambda work: work in served))
            return parts

    def _answer(self, parts: list[tuple[Work, list[Record]]]) -> None:
        records = [record for _, some in parts for record in some]
        self._observe(len(records))
        try:
            answers = list(self._answers(records, parts[0][0].way))
        except UserError as mistake:
            if len(parts) == 1:
                _fail(parts[0][0], mistake)
            else:  # one of them is to blame: each by itself
                for part in parts:
                    self._answer([part])
            return
        except BaseException as error:  # told to those who wait; the thread lives on
            for work, _ in parts:
                _fail(work, error)
            return
        for work, some in parts:
            work.done += answers[: len(some)]
            del answers[: len(some)]
            if len(work.done) == len(work.records) and not work.future.done():
                _settle(work.future, work.done)


def _shares(works: Sequence[Work], most: int) -> list[tuple[Work, list[Record]]]:
    """Of each request an equal share of ``most`` records, the rest to the first ones."""
    room, shares = most, dict.fromkeys(range(len(works)), 0)
    while room and any(shares[i] < work.left for i, work in enumerate(works)):
        unfilled = [i for i, work in enumerate(works) if shares[i] < work.left]
        each = max(1, room // len(unfilled))
        for i in unfilled:
            taken = min(each, works[i].left - shares[i], room)
            shares[i] += taken
            room -= taken
    parts = []
    for i, work in enumerate(works):
        if shares[i]:
            parts.append((work, work.records[work.begun : work.begun + shares[i]]))
            work.begun += shares[i]
    return parts


def _write(telling: Telling) -> None:
    """Pieces until the end, or until nobody listens any more."""
    if telling.cancelled.is_set():
        return
    pieces = telling.pieces()
    try:
        while not telling.cancelled.is_set():
            try:
                telling.tell("piece", next(pieces))
            except StopIteration as end:
                telling.tell("done", end.value)
                return
    except Exception as error:
        telling.tell("error", error)
    finally:
        pieces.close()


def _settle(future: Future[list[Any]], answers: list[Any]) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(answers)


def _fail(work: Work, error: BaseException) -> None:
    work.begun = len(work.records)
    if not work.future.done() and work.future.set_running_or_notify_cancel():
        work.future.set_exception(error)
