"""Trials that need two processes each: ranks made by torchrun do every trial together."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import records_of, states

from rag_lightning.train import train


@pytest.mark.slow
def test_torchrun_does_each_trial_with_all_ranks(tiny_run: Callable[..., list[str]], tmp_path: Path) -> None:
    exact = ("model.dropout=0", "model.attn_dropout=0", "trainer.precision=32-true", "speed.fused_layers=false")
    same = tiny_run(*exact, "trainer.max_epochs=1")
    two = [*same, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "optimizer.lr=1e-3,1e30", "seed=1,2"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "rag_lightning.train"]
    done = subprocess.run(
        [sys.executable, *torchrun, "-m", *two], capture_output=True, text=True, timeout=300, cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert states(tmp_path / "runs") == ["finished", "finished", "failed", "failed"], done.stdout + done.stderr
    assert "4 trials: 2 finished, 2 failed" in done.stdout
    assert done.stdout.count("[1/4]") == 2, "one rank speaks"
    alone = train([*same, "seed=2", f"run.folder={tmp_path}/alone"])
    together = records_of(tmp_path / "runs")[1]
    assert together.metrics["test/loss"] == pytest.approx(alone.metrics["test/loss"], abs=2e-4)


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_fork", "ddp_notebook"])
def test_what_lightning_forks_is_refused(strategy: str, tiny_run: Callable[..., list[str]]) -> None:
    from rag_lightning.errors import UserError

    with pytest.raises(UserError, match="Choose trainer=ddp or trainer=fsdp"):
        train(tiny_run(f"trainer.strategy={strategy}", "trainer.devices=2"))
