"""kill -9 at random moments: what is left in the end is what an undisturbed sweep leaves, bit for bit."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashes import weights
from sweeps import records_of, sweep_folder, timeless

HERE = Path(__file__).parent
KILLS = 24

GRID = ["optimizer.lr=1e-3,1e-2", "tuning.frozen_layers=0,1", "seed=1,2,3,4,5"]
SEARCH = [
    "hydra/sweeper=optuna", "hydra.sweeper.n_trials=8", "hydra.sweeper.seeds=[1,2]",
    "optimizer.lr=tag(log, interval(1e-4,1e-1))", "tuning.frozen_layers=0,1",
]  # fmt: skip


def swept(words: list[str], kills: int, seconds: float = 1.0) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE / "killing.py"), str(kills), str(seconds), "7", "-m", *words],
        capture_output=True, text=True, timeout=540, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("question", [GRID, SEARCH], ids=["grid", "search"])
def test_killed_at_random_moments(question: list[str], tiny_run: Callable[..., list[str]], tmp_path: Path) -> None:
    own = ["checkpoint.every_steps=1", "trainer.max_epochs=2", "trainer.enable_progress_bar=false", *question]
    swept([*tiny_run(*own), f"output_dir={tmp_path}/calm"], 0)
    told = swept([*tiny_run(*own), f"output_dir={tmp_path}/killed"], KILLS, 5.0)
    killed = re.search(r"killed (\d+)", told)
    assert killed is not None and int(killed[1]) >= 20
    calm, disturbed = records_of(tmp_path / "calm"), records_of(tmp_path / "killed")
    assert {record.state for record in disturbed} == {"finished"}
    assert [_content(record) for record in timeless(disturbed)] == [_content(record) for record in timeless(calm)]
    for one, other in zip(calm, disturbed, strict=True):
        folders = Path(str(one.folder)), Path(str(other.folder))
        assert weights(folders[0]) == weights(folders[1])
        predictions = [(folder / "predictions.jsonl").read_bytes() for folder in folders]
        assert predictions[0] == predictions[1]
    if question is SEARCH:
        assert _told(tmp_path / "calm") == _told(tmp_path / "killed")


def _content(record: Any) -> Any:
    """All but the overrides, which hold the output folder."""
    return record.number, record.values, record.state, record.score, record.metrics, record.fingerprint


def _told(runs: Path) -> list[Any]:
    import optuna

    storage = optuna.storages.RDBStorage(f"sqlite:///{sweep_folder(runs)}/study.db")
    study = optuna.load_study(study_name=sweep_folder(runs).name, storage=storage)
    told = [(each.number, each.params, each.value, each.state) for each in study.get_trials()]
    storage.remove_session()
    storage.engine.dispose()
    return told
