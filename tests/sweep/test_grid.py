"""A grid: run, killed and run again; failures, refusals, twins; what is known is neither done nor composed again."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from sweeps import records_of, states, sweep_folder

from rag_lightning.sweep import outcome, run
from rag_lightning.sweep.record import TRIALS
from rag_lightning.training.module import FineTuning

Tiny = Callable[..., list[str]]


@pytest.fixture
def sweep(run: Command, tiny_run: Tiny, no_pictures: None) -> Callable[..., Any]:
    """``sweep("optimizer.lr=1e-3,1e-2")``: a sweep of runs of one epoch."""

    def of(*more: str) -> Any:
        words = tiny_run("trainer.max_epochs=1", "trainer.enable_progress_bar=false", *more)
        return run("train", "-m", *words)

    return of


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The trials that are composed."""
    seen: list[Any] = []
    original = outcome.plan_trial

    def noted(trial: Any, *more: Any) -> Any:
        seen.append(trial)
        return original(trial, *more)

    for module in ("planning", "worker"):
        monkeypatch.setattr(f"rag_lightning.sweep.{module}.plan_trial", noted)
    return seen


def last_line(outcome: Any) -> str:
    return str(outcome.out.strip().splitlines()[-1])


def test_every_combination_is_a_run_with_a_record(sweep: Callable[..., Any], runs: Path) -> None:
    outcome = sweep("optimizer.lr=1e-3,1e-2", "seed=1,2")
    assert outcome.code == 0, outcome.err
    assert last_line(outcome) == "4 trials: 4 finished"
    records = records_of(runs)
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert [dict(record.values) for record in records] == [
        {"optimizer.lr": lr, "seed": seed} for lr in ("0.001", "0.01") for seed in ("1", "2")
    ]
    for record in records:
        assert record.state == "finished" and record.reason is None
        assert record.score == record.metrics["validation/f1"]
        assert record.seconds > 0 and record.worker.endswith(f":{os.getpid()}")
        assert json.loads((Path(str(record.folder)) / "run.json").read_text())["seed"] == int(record.values["seed"])
    assert len({record.fingerprint for record in records}) == 4


def test_what_is_done_is_not_even_composed(sweep: Callable[..., Any], planned: list[Any]) -> None:
    sweep("seed=1,2")
    planned.clear()
    again = sweep("seed=1,2")
    assert (again.code, last_line(again)) == (0, "2 trials: 2 finished")
    assert planned == []


def test_a_further_value_runs_only_what_is_new(
    sweep: Callable[..., Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep("seed=1,2")
    trained: set[int] = set()
    step = FineTuning.training_step

    def counted(self: FineTuning, *batch: Any) -> Any:
        trained.add(self.seed)
        return step(self, *batch)

    monkeypatch.setattr(FineTuning, "training_step", counted)
    more = sweep("seed=1,2,3")  # another sweep, which shares two trials
    assert last_line(more) == "3 trials: 3 finished"
    assert trained == {3}
    assert "1 to run, 2 done" in more.out
    assert len(list((runs / "sweeps").iterdir())) == 2


def test_changed_data_are_noticed(sweep: Callable[..., Any], tmp_path: Path, planned: list[Any], runs: Path) -> None:
    sweep("seed=1,2")
    before = {record.fingerprint for record in records_of(runs)}
    data = tmp_path / "data" / "train.conll"
    data.write_text(data.read_text() + "\nAda B-PER\nlived O\n")
    planned.clear()
    assert last_line(sweep("seed=1,2")) == "2 trials: 2 finished"
    assert planned
    assert not before & {record.fingerprint for record in records_of(runs)}


def test_a_run_that_was_removed_is_done_again(sweep: Callable[..., Any], runs: Path) -> None:
    import shutil

    sweep("seed=1,2")
    shutil.rmtree(str(records_of(runs)[0].folder))
    assert "1 to run, 1 done" in sweep("seed=1,2").out


def test_one_failure_does_not_end_the_others(
    sweep: Callable[..., Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = FineTuning.training_step

    def broken(self: FineTuning, *batch: Any) -> Any:
        if self.seed == 2:
            raise RuntimeError("CUDA out of memory, say")
        if self.seed == 3:
            raise ZeroDivisionError("a defect")
        return step(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "training_step", broken)
        outcome = sweep("seed=1,2,3,4")
    assert outcome.code == run.NOT_ALL
    assert last_line(outcome) == "4 trials: 2 finished, 2 failed"
    assert states(runs) == ["finished", "failed", "failed", "finished"]
    reasons = [record.reason or "" for record in records_of(runs)]
    assert "memory is full" in reasons[1] and reasons[1].startswith("out of memory")
    assert reasons[2] == "ZeroDivisionError: a defect"
    assert sweep("seed=1,2,3,4").code == run.NOT_ALL, "what failed is not tried again by itself"
    again = sweep("seed=1,2,3,4", "sweep.again=failed")
    assert (again.code, last_line(again)) == (0, "4 trials: 4 finished")


def test_a_loss_that_is_no_number_is_a_failure(sweep: Callable[..., Any], runs: Path) -> None:
    outcome = sweep("optimizer.lr=1e-3,1e30", "optimizer.weight_decay=0")
    assert outcome.code == run.NOT_ALL
    assert states(runs) == ["finished", "failed"]
    assert "not a" in str(records_of(runs)[1].reason)


def test_what_is_refused_shows_before_anything_trains(sweep: Callable[..., Any], runs: Path) -> None:
    outcome = sweep("tuning.frozen_layers=0,9")
    assert outcome.code == run.NOT_ALL
    lines = outcome.out.splitlines()
    refused = next(place for place, line in enumerate(lines) if "this BERT model has 2" in line)
    begun = next(place for place, line in enumerate(lines) if line.startswith("[1/2]"))
    assert refused < begun
    assert states(runs) == ["finished", "refused"]


@pytest.mark.parametrize("force", [False, True])
def test_twins_run_once(sweep: Callable[..., Any], runs: Path, monkeypatch: pytest.MonkeyPatch, force: bool) -> None:
    words = ("optimizer.lr=1e-3", "batching.workers=0", "data.limit.train=null", "checkpoint.keep=2,3")
    if force:
        sweep(*words)
    begun: list[Any] = []
    monkeypatch.setattr(FineTuning, "on_fit_start", lambda self: begun.append(self))
    outcome = sweep(*words, f"force={str(force).lower()}")
    assert len(begun) == 1
    assert "1 trials are the same run as another one" in outcome.out
    first, second = records_of(runs)
    assert first.fingerprint == second.fingerprint
    assert first.metrics == second.metrics
    assert states(runs) == ["finished", "finished"]


def test_a_dry_run_tells_all_and_does_nothing(sweep: Callable[..., Any], runs: Path) -> None:
    sweep("seed=1")
    folder = sweep_folder(runs)
    before = sorted(path.stat().st_mtime_ns for path in runs.rglob("*"))
    outcome = sweep("seed=1,2", "tuning.frozen_layers=0,9", "dry_run=true")
    assert outcome.code == run.NOT_ALL
    assert "4 trials; 1 to run, 1 done, 2 refused" in outcome.out
    assert "would run   seed=2  tuning.frozen_layers=0" in outcome.out
    assert "finished    seed=1  tuning.frozen_layers=0" in outcome.out
    assert sorted(path.stat().st_mtime_ns for path in runs.rglob("*")) == before
    assert folder.is_dir()


def test_a_dry_run_of_a_single_run(run: Command, tiny_run: Tiny, runs: Path) -> None:
    outcome = run("train", *tiny_run("dry_run=true"))
    assert outcome.code == 0
    assert "would run; nothing was done" in outcome.out
    assert not runs.exists()


def test_ctrl_c_saves_and_the_same_command_goes_on(
    sweep: Callable[..., Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, seen = FineTuning.training_step, [0]

    def interrupted(self: FineTuning, *batch: Any) -> Any:
        seen[0] += 1
        if seen[0] == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "training_step", interrupted)
        outcome = sweep("seed=1,2,3")
    assert outcome.code == 130
    assert outcome.err == "stopped: the same command again goes on from there\n"
    assert last_line(outcome) == "3 trials: 1 finished, 2 left"
    assert states(runs) == ["finished", "stopped"]
    outcome = sweep("seed=1,2,3")
    assert (outcome.code, last_line(outcome)) == (0, "3 trials: 3 finished")
    logs = "".join(log.read_text() for log in (sweep_folder(runs) / "workers").glob("*.log"))
    assert logs.count("resuming from step-") == 1


def test_a_trial_that_kills_its_workers_fails_in_the_end(
    sweep: Callable[..., Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    from rag_lightning.sweep import worker

    original, sent = worker._run, [0]

    def killed(planned: Any, record: Any, order: Any) -> Any:
        if record.values["seed"] == "2":
            sent[0] += 1
            raise Killed
        return original(planned, record, order)

    def launched(send: Any) -> Any:
        def launch(workers: int) -> bool:
            try:
                return bool(send(workers))
            except Killed:
                raise RuntimeError("a worker was killed") from None

        return launch

    until_done = run._send_until_done
    monkeypatch.setattr(worker, "_run", killed)
    monkeypatch.setattr(run, "_send_until_done", lambda o, w, n, send: until_done(o, w, n, launched(send)))
    outcome = sweep("seed=1,2,3", "sweep.tries=2")
    assert outcome.code == run.NOT_ALL
    assert states(runs) == ["finished", "failed", "finished"]
    assert "worker killed (2 workers ended" in str(records_of(runs)[1].reason)
    assert sent[0] == 2


def test_force_does_all_again_once(sweep: Callable[..., Any], runs: Path) -> None:
    sweep("seed=1,2")
    times = [(Path(str(record.folder)) / "status.json").stat().st_mtime_ns for record in records_of(runs)]
    outcome = sweep("seed=1,2", "force=true")
    assert (outcome.code, last_line(outcome)) == (0, "2 trials: 2 finished")
    again = [(Path(str(record.folder)) / "status.json").stat().st_mtime_ns for record in records_of(runs)]
    assert all(new > old for old, new in zip(times, again, strict=True))


def test_a_folder_of_ones_own_keeps_what_is_no_longer_asked(sweep: Callable[..., Any], tmp_path: Path) -> None:
    sweep("seed=1,2", f"sweep.folder={tmp_path}/mine")
    assert last_line(sweep("seed=2,3", f"sweep.folder={tmp_path}/mine")) == "2 trials: 2 finished"
    assert len(list((tmp_path / "mine" / TRIALS / "earlier").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimizer.lr=interval(1e-5,1e-3)"], "hydra/sweeper=random or hydra/sweeper=optuna"),
        (["seed=1,2", "dry_run=true,false"], "said once for all trials"),
        (["seed=1,2", "hydra/launcher=jobli"], "Did you mean joblib?"),
        (["seed=1,2", "hydra/sweeper=gird"], "Did you mean hydra/sweeper=grid?"),
        (["seed=1,2", "sweep.stop=medain"], "'none', 'median' or 'halving'"),
        (["seed=1,2", "sweep.stoop=median"], "sweep.stop"),
    ],
)
def test_mistakes_in_the_sweep_itself_are_one_sentence(sweep: Callable[..., Any], words: list[str], said: str) -> None:
    outcome = sweep(*words)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1
