"""Connections whose requests never become whole."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rag_lightning.serve import protocol

PATIENCE = 0.6  # seconds
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Where a server with little patience listens."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", PATIENCE)
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("yes"))])
    config = uvicorn.Config(app, port=0, http=protocol.PatientProtocol, timeout_keep_alive=30, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join(10)


def answered(connection: socket.socket) -> None:
    connection.sendall(WHOLE)
    came = b""
    while not came.endswith(b"yes"):
        came += (piece := connection.recv(65536))
        assert piece, came
    assert came.startswith(b"HTTP/1.1 200 ")


def is_closed_while_dripping(connection: socket.socket) -> bool:
    """Whether the server hangs up on a head of which a byte comes now and then."""
    connection.settimeout(0.1)
    end = time.monotonic() + 10 * PATIENCE
    while time.monotonic() < end:
        try:
            connection.sendall(b"G")
            if connection.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize("requests", [0, 2])
def test_a_head_that_never_ends_is_given_up(place: tuple[str, int], requests: int) -> None:
    with socket.create_connection(place) as connection:
        for _ in range(requests):
            answered(connection)
        assert is_closed_while_dripping(connection)


def test_who_asks_again_in_time_is_answered(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        for _ in range(4):
            answered(connection)
            time.sleep(PATIENCE / 2)
