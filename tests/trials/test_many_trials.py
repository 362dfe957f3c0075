"""A process that does many trials: nothing loaded twice, nothing carried over, nothing left behind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from crashes import weights

from rag_lightning import trials
from rag_lightning.model import load
from rag_lightning.train import train
from rag_lightning.trials import are_many, kept, many_trials

REPOSITORY = Path(__file__).resolve().parents[2]
Overrides = Callable[..., list[str]]


def test_two_things_are_kept_at_most_and_none_outside() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        return kept("letter", name, lambda: (made.append(name), name)[1])

    with many_trials():
        assert [make(name) for name in ("a", "a", "b", "a", "c", "a", "b")] == ["a", "a", "b", "a", "c", "a", "b"]
        assert kept("number", "a", lambda: 1) == 1  # which pushes no letter out
        assert make("b") == "b"
    assert made == ["a", "b", "c", "b"]
    assert not trials._kept
    assert not are_many()


@pytest.mark.slow
def test_the_same_bits_as_in_a_process_of_its_own(
    tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ["optimizer.lr=1e-3", "optimizer.lr=3e-3", "seed=2", "model.dropout=0.3", "optimizer.lr=1e-3"]
    alone = [weights(train(tiny_run(each, f"run.folder={tmp_path}/alone{i}")).folder) for i, each in enumerate(changes)]
    loads: list[int] = []
    original = load._loaded
    monkeypatch.setattr(load, "_loaded", lambda *arguments: (loads.append(1), original(*arguments))[1])
    with many_trials():
        many = [
            weights(train(tiny_run(each, f"run.folder={tmp_path}/many{i}")).folder) for i, each in enumerate(changes)
        ]
    assert many == alone
    assert many[0] == many[-1] != many[1]
    assert len(loads) == 4  # the last needs what two others have pushed out


def test_another_backbone_under_the_same_path_is_loaded_anew(
    tiny_run: Overrides, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    model = tmp_path / "model"
    model.mkdir()
    for file in tiny_model.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    with many_trials():
        first = weights(train(tiny_run(f"model.path={model}")).folder)
        changed = {name: each * 1.5 for name, each in load_file(model / "model.safetensors").items()}
        save_file(changed, model / "model.safetensors", metadata={"format": "pt"})
        second = weights(train(tiny_run(f"model.path={model}")).folder)
    assert first != second


@pytest.mark.slow
def test_trials_draw_no_pictures_unless_asked(tiny_run: Overrides, tmp_path: Path) -> None:
    with many_trials():
        plain = train(tiny_run(f"run.folder={tmp_path}/plain")).folder
        drawn = train(tiny_run(f"run.folder={tmp_path}/drawn", "run.pictures=true")).folder
    alone = train(tiny_run(f"run.folder={tmp_path}/none", "run.pictures=false")).folder
    assert [len(list(folder.glob("*.png"))) > 0 for folder in (plain, drawn, alone)] == [False, True, False]
    assert ".png" not in (plain / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_fifty_trials_take_no_more_memory_than_five(tiny_run: Overrides) -> None:
    skip = ("output_dir=", "trainer", "optimizer.lr=", "logger=")
    words = [each for each in tiny_run() if not each.startswith(skip)]
    command = [sys.executable, str(REPOSITORY / "experiments" / "throughput" / "memory.py"), "--trials", "50", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert abs(json.loads(done.stdout.splitlines()[-1])["grown"]) < 0.05
