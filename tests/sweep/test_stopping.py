"""Who hears that a sweep shall stop, and how often."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rag_lightning.sweep import run
from rag_lightning.sweep.order import STOP, Order
from rag_lightning.sweep.question import Trial
from rag_lightning.sweep.stopping import WorkerStop
from rag_lightning.training.stop import GracefulStop

# A sweep and its worker, whose step takes longer than the sweep needs to tell it.
GROUP = """
import os, sys, time
from pathlib import Path
from rag_lightning.sweep.stopping import SweepStop, WorkerStop
from rag_lightning.training.stop import GracefulStop

folder = Path(sys.argv[1])
worker = os.fork()
if worker:
    with SweepStop(folder):
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
with WorkerStop(folder), GracefulStop() as stop:
    (folder / "at work").touch()
    while not stop.requested:
        time.sleep(0.05)
    time.sleep(1.5)
    (folder / "saved").touch()
os._exit(0)
"""


def test_a_worker_that_has_heard_of_it_is_not_told_again(tmp_path: Path) -> None:
    with WorkerStop(tmp_path) as worker, GracefulStop() as training:
        os.kill(os.getpid(), signal.SIGINT)
        (tmp_path / STOP).touch()
        time.sleep(0.8)  # a second signal would raise here
    assert worker.requested and training.requested


def test_a_worker_that_has_not_heard_of_it_is_told_by_the_folder(tmp_path: Path) -> None:
    with WorkerStop(tmp_path) as worker, GracefulStop() as training:
        (tmp_path / STOP).touch()
        time.sleep(0.8)
    assert worker.requested and training.requested


def test_a_signal_before_the_training_begins_ends_it_too(tmp_path: Path) -> None:
    with WorkerStop(tmp_path) as worker:
        os.kill(os.getpid(), signal.SIGINT)
        with GracefulStop() as training:
            assert training.requested
    assert worker.requested
    with GracefulStop() as later:
        assert not later.requested, "what comes after the sweep is not meant"


def test_a_signal_as_the_training_begins_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    set_handler = signal.signal

    def sent_at_once(number: int, handler: Any) -> Any:
        before = set_handler(number, handler)
        if number == signal.SIGTERM:  # the last one: both stand
            os.kill(os.getpid(), signal.SIGINT)
        return before

    monkeypatch.setattr(signal, "signal", sent_at_once)
    training = GracefulStop()
    training.__enter__()
    monkeypatch.undo()
    training.__exit__(None, None, None)
    assert training.requested


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_lets_a_worker_end_its_step(tmp_path: Path) -> None:
    repository = str(Path(__file__).parents[2])
    sweep = subprocess.Popen(
        [sys.executable, "-c", GROUP, str(tmp_path)], start_new_session=True, text=True, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": repository},
    )  # fmt: skip
    end = time.monotonic() + 120
    while not (tmp_path / "at work").exists() and time.monotonic() < end:
        time.sleep(0.1)
    os.killpg(sweep.pid, signal.SIGINT)  # as a terminal sends it
    _, told = sweep.communicate(timeout=60)
    assert (sweep.returncode, told) == (0, "")
    assert (tmp_path / "saved").exists()


def test_a_second_terminal_understands_that_the_first_one_was_stopped(tmp_path: Path) -> None:
    order = Order("x", 1, str(tmp_path), "/", "", False, 3, "none", 3, 1.0, 3)
    (tmp_path / STOP).touch()  # of an earlier time
    sent: list[int] = []

    def launch(workers: int) -> bool:
        sent.append(workers)
        (tmp_path / STOP).touch()  # the first terminal, whose workers and ours end then
        return False

    assert run._send_until_done(order, [Trial(0, ("a=1",), {"a": "1"})], 1, launch)
    assert sent == [1]
