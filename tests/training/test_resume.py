"""Stop anywhere, go on, and end with the same weights, bit for bit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from crashes import Crash, crash_after, fail, weights

from rag_lightning.cli import Interrupted
from rag_lightning.train import train

Overrides = Callable[..., list[str]]


@pytest.fixture
def whole(tiny_run: Overrides, tmp_path: Path) -> str:
    """The weights of an uninterrupted run."""
    return weights(train(tiny_run("checkpoint.every_steps=2", f"run.folder={tmp_path}/whole")).folder)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_crash_at_any_step_changes_nothing(
    step: int, tiny_run: Overrides, tmp_path: Path, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = tiny_run("checkpoint.every_steps=2", f"run.folder={tmp_path}/cut")
    with monkeypatch.context() as patch:
        crash_after(patch, step, fail)
        with pytest.raises(Crash):
            train(overrides)
    torch.manual_seed(step)  # what came before must not matter
    assert weights(train(overrides).folder) == whole


@pytest.mark.slow
def test_several_crashes_with_accumulated_gradients(
    tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accumulate = ["trainer.accumulate_grad_batches=2", "checkpoint.every_steps=1"]
    expected = weights(train(tiny_run(*accumulate, f"run.folder={tmp_path}/whole")).folder)
    overrides = tiny_run(*accumulate, f"run.folder={tmp_path}/cut")
    for step in (3, 2, 1):
        with monkeypatch.context() as patch:
            crash_after(patch, step, fail)
            with pytest.raises(Crash):
                train(overrides)
    assert weights(train(overrides).folder) == expected


def test_a_stop_saves_and_goes_on_exactly_there(
    tiny_run: Overrides, tmp_path: Path, whole: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = tiny_run("checkpoint.every_steps=100", f"run.folder={tmp_path}/cut")
    with monkeypatch.context() as patch:
        crash_after(patch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Interrupted, match="step 3"):
            train(overrides)
    assert [p.name for p in (tmp_path / "cut" / "checkpoints").glob("*.ckpt")] == ["step-00000003.ckpt"]
    assert weights(train(overrides).folder) == whole
    assert "resuming from step-00000003.ckpt" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_serves(
    tiny_run: Overrides, tmp_path: Path, whole: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = tiny_run("checkpoint.every_steps=1", f"run.folder={tmp_path}/cut")
    with monkeypatch.context() as patch:
        crash_after(patch, 3, fail)
        with pytest.raises(Crash):
            train(overrides)
    points = sorted((tmp_path / "cut" / "checkpoints").glob("step-*.ckpt"))
    assert len(points) == 2
    points[-1].write_bytes(points[-1].read_bytes()[:-1000])
    assert weights(train(overrides).folder) == whole
    output = capsys.readouterr().out
    assert f"{points[-1].name} is damaged" in output
    assert f"resuming from {points[0].name}" in output


def test_a_finished_run_says_so_and_force_runs_it_again(
    tiny_run: Overrides, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(tiny_run())
    written = (first.folder / "metrics.json").stat().st_mtime_ns
    again = train(tiny_run())
    assert again.already_done
    assert again.metrics == first.metrics
    assert "is finished" in capsys.readouterr().out
    assert (first.folder / "metrics.json").stat().st_mtime_ns == written
    forced = train(tiny_run("force=true"))
    assert not forced.already_done
    assert forced.folder == first.folder
    assert weights(forced.folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_real_signal_to_a_real_process(
    number: signal.Signals, tiny_run: Overrides, tmp_path: Path, whole: str
) -> None:
    overrides = tiny_run("checkpoint.every_steps=1", f"run.folder={tmp_path}/cut", "trainer.max_epochs=2")
    slow_down = (
        "import sys, time; from rag_lightning.training.module import FineTuning as F; s = F.training_step\n"
        "F.training_step = lambda *a: (time.sleep(0.5), s(*a))[1]\n"
        "from rag_lightning.train import main; main()"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # as in this process: sums depend on the number of threads
    with subprocess.Popen(
        [sys.executable, "-c", slow_down, *overrides], stdout=subprocess.DEVNULL, env=environment
    ) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "cut" / "checkpoints").glob("step-*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        code = process.wait(60)
    assert code == (130 if number == signal.SIGINT else -9)
    command = [sys.executable, "-m", "rag_lightning.train", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "resuming from" in done.stdout
    assert weights(tmp_path / "cut") == whole
