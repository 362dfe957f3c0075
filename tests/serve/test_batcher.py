"""Who is answered when, and together with whom."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from rag_lightning.serve.batcher import Batcher, Closed, Full


class Echo:
    """Answers records with themselves, a batch at each ``go``; notes the batches."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.go = threading.Semaphore(0)
        self.began = threading.Semaphore(0)

    def __call__(self, records: list[Any], way: Any) -> list[Any]:
        self.began.release()
        assert self.go.acquire(timeout=10)
        self.batches.append(records)
        return [(record["n"], way) for record in records]


@pytest.fixture
def batcher() -> Iterator[Callable[..., tuple[Batcher, Echo]]]:
    made: list[tuple[Batcher, Echo]] = []

    def make(**options: Any) -> tuple[Batcher, Echo]:
        echo = Echo()
        made.append((Batcher(echo, **{"most": 4, "wait": 0.0, "queue": 100, **options}), echo))
        return made[-1]

    yield make
    for one, echo in made:
        echo.go.release(1000)
        one.close(10)


def of(*numbers: int) -> list[dict[str, Any]]:
    return [{"n": number} for number in numbers]


def busy(batcher: Batcher, echo: Echo) -> Future[list[Any]]:
    """A first request that is being answered, so that all others wait."""
    first = batcher.submit(of(0))
    assert echo.began.acquire(timeout=10)
    return first


def test_who_came_first_is_answered_first(batcher: Callable[..., tuple[Batcher, Echo]]) -> None:
    one, echo = batcher(together=False)
    futures = [busy(one, echo), *(one.submit(of(number)) for number in range(1, 9))]
    echo.go.release(100)
    assert [future.result(10) for future in futures] == [[(number, None)] for number in range(9)]
    assert [batch[0]["n"] for batch in echo.batches] == list(range(9))


def test_a_long_list_leaves_room_for_others(batcher: Callable[..., tuple[Batcher, Echo]]) -> None:
    one, echo = batcher()
    futures = [busy(one, echo), one.submit(of(*range(10, 30))), one.submit(of(1)), one.submit(of(2))]
    echo.go.release(100)
    found = [future.result(10) for future in futures]
    assert [number for number, _ in found[1]] == list(range(10, 30))
    assert {record["n"] for record in echo.batches[1]} >= {10, 1, 2}
    assert all(len(batch) <= 4 for batch in echo.batches)


def test_more_requests_than_a_batch_holds_are_all_answered(batcher: Callable[..., tuple[Batcher, Echo]]) -> None:
    one, echo = batcher(most=2)
    futures = [busy(one, echo), *(one.submit(of(number, number)) for number in range(1, 8))]
    echo.go.release(100)
    assert [future.result(10)[0][0] for future in futures] == list(range(8))
    firsts = [record["n"] for batch in echo.batches[1:] for record in batch]
    assert firsts[:7] == list(range(1, 8))  # everybody once, before anybody twice


def test_ways_are_not_mixed(batcher: Callable[..., tuple[Batcher, Echo]]) -> None:
    one, echo = batcher()
    futures = [busy(one, echo), *(one.submit(of(number), way) for number, way in ((1, "a"), (2, "b"), (3, "a")))]
    echo.go.release(100)
    assert [future.result(10)[0] for future in futures] == [(0, None), (1, "a"), (2, "b"), (3, "a")]
    assert [[record["n"] for record in batch] for batch in echo.batches] == [[0], [1, 3], [2]]


def test_what_is_taken_back_is_not_answered(batcher: Callable[..., tuple[Batcher, Echo]]) -> None:
    one, echo = batcher()
    first, gone, last = busy(one, echo), one.submit(of(1)), one.submit(of(2))
    assert gone.cancel()
    echo.go.release(100)
    assert first.result(10) and last.result(10) == [(2, None)]
    assert [[record["n"] for record in batch] for batch in echo.batches] == [[0], [2]]


def test_limits_and_the_end(batcher: Callable[..., tuple[Batcher, Echo]]) -> None:
    one, echo = batcher(queue=3)
    first = busy(one, echo)
    waits = one.submit(of(1, 2, 3))
    assert one.waiting == 3
    with pytest.raises(Full):
        one.submit(of(4))
    closing = threading.Thread(target=one.close)
    closing.start()
    while not one._closed:
        pass
    with pytest.raises(Closed):
        one.submit(of(5))
    echo.go.release(100)
    closing.join(10)
    assert first.result(0) and [number for number, _ in waits.result(0)] == [1, 2, 3]
    assert not closing.is_alive()
