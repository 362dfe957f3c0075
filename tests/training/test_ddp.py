"""Two processes: the same result as one, and every example evaluated exactly once."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_lightning.train import train

Overrides = Callable[..., list[str]]


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tiny_run: Overrides, tmp_path: Path) -> None:
    # Without dropout both draw the same numbers (none), so that only the arithmetic's order differs.
    same = tiny_run("model.dropout=0", "model.attn_dropout=0", "trainer.precision=32-true", "speed.fused_layers=false")
    one = train([*same, f"run.folder={tmp_path}/one"])
    two = [*same, f"run.folder={tmp_path}/two", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    done = subprocess.run([sys.executable, "-m", "rag_lightning.train", *two], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((tmp_path / "two" / "status.json").read_text())["metrics"]
    for name, value in one.metrics.items():
        assert metrics[name] == pytest.approx(value, abs=2e-4), name
    lines = (tmp_path / "two" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == 8


@pytest.mark.slow
def test_a_sweep_with_its_own_launcher_is_refused(tiny_run: Overrides) -> None:
    command = [*tiny_run("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"), "seed=1,2", "-m"]
    done = subprocess.run([sys.executable, "-m", "rag_lightning.train", *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert "srun -n 4" in done.stderr
    assert "torchrun --nproc-per-node 4" in done.stderr
    assert "one process per device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_adapters_in_two_processes(tiny_run: Overrides, tmp_path: Path) -> None:
    same = tiny_run("tuning=lora", "model.dropout=0", "model.attn_dropout=0", "trainer.precision=32-true")
    one = train([*same, f"run.folder={tmp_path}/one"])
    two = [*same, f"run.folder={tmp_path}/two", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    done = subprocess.run([sys.executable, "-m", "rag_lightning.train", *two], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((tmp_path / "two" / "status.json").read_text())["metrics"]
    assert metrics["test/loss"] == pytest.approx(one.metrics["test/loss"], abs=2e-4)
    assert (tmp_path / "two" / "adapter" / "adapter_model.safetensors").is_file()
