"""The command line: quick help without torch, completion, exit codes that mean something."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import Command

from rag_lightning import cli
from rag_lightning.cli import Interrupted
from rag_lightning.config.paths import conf_dir

REPOSITORY = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "pytorch_lightning", "datasets", "wandb", "matplotlib", "pyarrow", "huggingface_hub")


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=REPOSITORY, env=os.environ | environment, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"]])
def test_help_and_the_configuration_come_without_torch(name: str, flags: list[str]) -> None:
    code = (
        f"import sys, atexit; heavy = lambda: [m for m in {HEAVY!r} if m in sys.modules]\n"
        "atexit.register(lambda: print(heavy(), file=sys.stderr))\n"
        f"from rag_lightning.{name} import main; main()"
    )
    began = time.perf_counter()
    done = python(code, *flags)
    took = time.perf_counter() - began
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    assert took < 4, "under a second on an idle machine"
    expected = f"python -m rag_lightning.{name}" if flags == ["--help"] else "run:"
    assert expected in done.stdout


def test_help_lists_every_group_and_option(run: Command) -> None:
    said = run("train", "--help").out
    for group in conf_dir().iterdir():
        if group.is_dir() and group.name != "hydra":
            assert group.name in said
    assert "optimizer: adafactor, adam, adamw, sgd" in said


def test_completion_offers_groups_options_and_keys(
    run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for line, expected in (
        ("rag-train model=bert-base-c", {"model=bert-base-cased", "model=bert-base-chinese"}),
        ("rag-train optimizer.l", {"optimizer.lr="}),
        ("rag-train task=ner trainer=f", {"trainer=fsdp"}),
        ("rag-train tuning.h", {"tuning.head_lr="}),
        ("rag-train tuning.f", {"tuning.frozen_layers="}),
    ):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line)))
        assert set(run("train", "-sc", "query=bash").out.split()) == expected, line


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="no bash")
def test_completion_in_a_real_bash(tmp_path: Path) -> None:
    script = tmp_path / "rag-train"  # as pip writes it
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom rag_lightning.train import main\nsys.exit(main())\n")
    script.chmod(0o755)
    typed = (
        'eval "$(rag-train -sc install=bash)"; export COMP_LINE="rag-train scheduler=c"; '
        "COMP_POINT=${#COMP_LINE}; COMP_CWORD=1; hydra_bash_completion; echo ${COMPREPLY[@]}; complete -p rag-train"
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-c", typed], env=os.environ | {"PATH": path, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    offered, installed = done.stdout.strip().split("\n")
    assert set(offered.split()) == {"scheduler=constant", "scheduler=constant_with_warmup", "scheduler=cosine"}
    assert "hydra_bash_completion rag-train" in installed
    assert not done.stderr


def test_a_run_exits_with_0_and_again_says_that_it_is_done(run: Command, tiny_run: Any, no_pictures: None) -> None:
    first = run("train", *tiny_run())
    assert first.code == 0
    assert not first.err
    assert "test  f1" in first.out
    again = run("train", *tiny_run())
    assert again.code == 0
    assert "This run is finished" in again.out
    assert "force=true" in again.out
    assert len(again.out.splitlines()) == 2


def test_an_unknown_flag_is_2(run: Command) -> None:
    outcome = run("train", "--colour")
    assert outcome.code == 2
    assert "unrecognized arguments: --colour" in outcome.err


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "stopped: interrupted\n"),
        (Interrupted("at step 3; the same command again goes on from there"), 130,
         "stopped: at step 3; the same command again goes on from there\n"),
    ],
)  # fmt: skip
def test_an_interruption_is_130(
    raised: BaseException, code: int, said: str, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(config: Any) -> None:
        raise raised

    monkeypatch.setattr("rag_lightning.train.train", stopped)
    outcome = run("train")
    assert (outcome.code, outcome.err) == (code, said)


def test_ctrl_c_in_a_run_saves_and_says_how_to_go_on(
    run: Command, tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    from rag_lightning.training.module import FineTuning

    step, seen = FineTuning.training_step, [0]

    def interrupted(self: FineTuning, *batch: Any) -> Any:
        seen[0] += 1
        if seen[0] == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *batch)

    overrides = tiny_run(f"run.folder={tmp_path}/run")
    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "training_step", interrupted)
        outcome = run("train", *overrides)
    assert outcome.code == 130
    assert outcome.err == "stopped: at step 2; the same command again goes on from there\n"
    assert "the state is being saved (Ctrl-C again: stop at once)" in outcome.out
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "stopped"
    assert "resuming from step-00000002.ckpt" in run("train", *overrides).out


def test_a_defect_of_ours_keeps_its_traceback(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: Any) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("rag_lightning.train.train", broken)
    with pytest.raises(ZeroDivisionError):
        run("train")


def test_what_a_job_starts_does_not_inherit_our_way_with_hydra(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def job(config: Any) -> Any:
        seen.append(os.environ.get("HYDRA_FULL_ERROR"))
        raise KeyboardInterrupt

    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr("rag_lightning.train.train", job)
    run("train")
    assert seen == [None]
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_reader_that_goes_away_is_no_error() -> None:
    typed = f"{sys.executable} -m rag_lightning.train --help | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", typed], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert not done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_nothing_is_written_beside_a_run(
    run: Command, tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert run("train", *tiny_run()).code == 0
    assert list(here.iterdir()) == []


def test_two_settings_in_a_sweep_are_two_runs(
    run: Command, tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("train", "-m", *tiny_run("seed=1,2", "trainer.max_epochs=1"))
    assert outcome.code == 0
    runs = [folder for folder in (tmp_path / "runs").iterdir() if folder.name.startswith("ner-")]
    assert len(runs) == 2
    assert cli.Interrupted.exit_code == 130
