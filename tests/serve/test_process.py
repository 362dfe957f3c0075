"""A server as a process: shutdown, slow and vanishing clients, mistakes at its start."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from command_line import Command

Process = Callable[..., tuple[subprocess.Popen[str], str]]
LONG = ["Ada Lovelace lived in London and Peter saw New York . " * 60] * 64


@pytest.mark.slow
def test_sigterm_finishes_what_is_in_flight(process: Process) -> None:
    server, address = process("tags with rules")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(httpx.post, f"{address}/predict", json=LONG, timeout=60) for _ in range(3)]
        while sum(httpx.get(f"{address}/health").json()["waiting"].values()) < 64:
            time.sleep(0.01)
        server.send_signal(signal.SIGTERM)
        answers = [each.result() for each in asked]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert all(len(answer.json()) == len(LONG) for answer in answers)
    assert server.wait(30) == 0
    assert server.stdout is not None and "what was in flight has been answered" in server.stdout.read()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/health")


@pytest.mark.slow
def test_slow_and_vanishing_clients_hold_up_nobody(process: Process) -> None:
    _, address = process("a reply", overrides=("limits.upload_seconds=1.0",))
    url = httpx.URL(address)
    place = (url.host, int(url.port or 80))
    begun = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
    slow = [socket.create_connection(place) for _ in range(40)]
    for number, each in enumerate(slow):
        each.sendall(begun if number % 2 else b"GET /hea")
    said = b'{"text": "Hello"}'
    for _ in range(20):  # asks for a text and goes away
        gone = socket.create_connection(place)
        head = (
            f"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
        )
        gone.sendall(head.encode() + said)
        gone.close()
    start = time.perf_counter()
    assert httpx.post(f"{address}/predict", json=json.loads(said), timeout=30).status_code == 200
    assert time.perf_counter() - start < 10
    slow[1].settimeout(10)
    assert slow[1].recv(65536).startswith(b"HTTP/1.1 408 ")
    for each in slow:
        each.close()
    assert httpx.get(f"{address}/health").json()["waiting"] != {}


@pytest.mark.slow
def test_the_token_of_the_environment(process: Process) -> None:
    _, address = process("tags with rules", RAG_LIGHTNING_TOKEN="abc")
    assert httpx.post(f"{address}/predict", json={"text": "x"}).status_code == 401
    right = {"authorization": "Bearer abc"}
    assert httpx.post(f"{address}/predict", json={"text": "x"}, headers=right).status_code == 200


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["run=/nowhere"], "not a run's folder"),
        (["run=[]"], "there is no run"),
        (["run=x", "port=70000"], "port must be less than 65536"),
        (["run=x", "limits.queue=0"], "limits.queue must be greater than or equal to 1"),
        (["run=x", "+limit.queue=3"], "unknown key"),
        ([], "run is needed"),
    ],
)
def test_mistakes_are_told(overrides: list[str], said: str, run: Command) -> None:
    outcome = run("serve", *overrides)
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_an_address_that_is_taken(run: Command, run_of: Callable[[str], object]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = run("serve", f"run={run_of('tags with rules')}", f"port={taken.getsockname()[1]}")
    assert outcome.code == 2
    assert "the address cannot be used" in outcome.err and "port=0" in outcome.err
