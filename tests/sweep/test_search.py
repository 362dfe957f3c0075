"""Random draws and optuna searches: deterministic, resumable to the exact total, with seeds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from optuna.trial import TrialState
from sweeps import records_of, states
from test_kills import _told

from rag_lightning.sweep.draw import draw
from rag_lightning.sweep.question import read_typed
from rag_lightning.sweep.record import Record
from rag_lightning.sweep.search import judged
from rag_lightning.training.module import FineTuning

LR = "optimizer.lr=tag(log, interval(1e-4,1e-1))"


@pytest.fixture
def sweep(run: Command, tiny_run: Callable[..., list[str]], no_pictures: None) -> Callable[..., Any]:
    def of(sweeper: str, *more: str) -> Any:
        words = tiny_run("trainer.max_epochs=1", "trainer.enable_progress_bar=false", f"hydra/sweeper={sweeper}", *more)
        return run("train", "-m", *words)

    return of


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def test_draws_are_the_same_each_time_and_a_longer_list_begins_like_a_shorter_one() -> None:
    swept = read_typed([LR, "tuning.frozen_layers=range(0,3)", "template=none,hints", "a=int(interval(2,9))"]).swept
    assert draw(swept, 20, 1)[:5] == draw(swept, 5, 1) != draw(swept, 5, 2)
    drawn = draw(swept, 200, 1)
    rates = sorted(float(values["optimizer.lr"]) for values in drawn)
    assert rates[0] >= 1e-4 and rates[-1] <= 1e-1
    assert 5e-4 < rates[100] < 2e-2, "evenly in the logarithm"
    assert {values["tuning.frozen_layers"] for values in drawn} == {"0", "1", "2"}
    assert {values["template"] for values in drawn} == {"none", "hints"}
    assert {int(values["a"]) for values in drawn} == set(range(2, 10))


def test_there_are_no_more_draws_than_combinations() -> None:
    assert len(draw(read_typed(["a=1,2", "b=3,4"]).swept, 100, 1)) == 4


def test_a_random_sweep_grows(sweep: Callable[..., Any], runs: Path) -> None:
    assert sweep("random", LR, "hydra.sweeper.n_trials=2").code == 0
    before = records_of(runs)
    more = sweep("random", LR, "hydra.sweeper.n_trials=3")
    assert "3 trials; 1 to run, 2 done" in more.out
    assert records_of(runs)[:2] == before


def test_a_search_reaches_its_total_however_often_it_breaks_off(
    sweep: Callable[..., Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("optuna", LR, "hydra.sweeper.seeds=[1,2]", "hydra.sweeper.n_trials=3")
    step, seen = FineTuning.training_step, [0]

    def interrupted(self: FineTuning, *batch: Any) -> Any:
        seen[0] += 1
        if seen[0] == 14:
            raise KeyboardInterrupt
        return step(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "training_step", interrupted)
        assert sweep(*words).code == 130
    assert "stopped" in states(runs)
    assert sweep(*words).code == 0
    assert states(runs) == ["finished"] * 6
    assert [record.values["seed"] for record in records_of(runs)] == ["1", "2"] * 3
    told = _told(runs)
    assert len(told) == 3
    for number, params, value, state in told:
        scores = [record.score for record in records_of(runs)[2 * number : 2 * number + 2]]
        assert state == TrialState.COMPLETE
        assert value == pytest.approx(sum(float(score or 0) for score in scores) / 2)
        assert float(records_of(runs)[2 * number].values["optimizer.lr"]) == pytest.approx(
            params["optimizer.lr"], rel=1e-5
        )
    again = sweep(*words)
    assert (again.code, len(_told(runs))) == (0, 3)
    assert len(records_of(runs)) == 6


def test_a_dry_run_of_a_search_shows_examples(sweep: Callable[..., Any], runs: Path) -> None:
    outcome = sweep("optuna", LR, "tuning.frozen_layers=0,9", "hydra.sweeper.n_trials=6", "dry_run=true")
    assert "a search of 6 trials, 0 of them done" in outcome.out
    assert "this BERT model has 2" in outcome.out and "would run" in outcome.out
    assert not runs.exists()


def test_a_search_goes_on_after_failures(
    sweep: Callable[..., Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: FineTuning, *batch: Any) -> Any:
        raise RuntimeError("always")

    monkeypatch.setattr(FineTuning, "training_step", broken)
    outcome = sweep("optuna", LR, "hydra.sweeper.n_trials=2")
    assert outcome.code == 3
    assert states(runs) == ["failed", "failed"]
    assert [state for *_, state in _told(runs)] == [TrialState.FAIL] * 2


def test_changed_data_end_a_search(sweep: Callable[..., Any], tmp_path: Path) -> None:
    sweep("optuna", LR, "hydra.sweeper.n_trials=1")
    data = tmp_path / "data" / "train.conll"
    data.write_text(data.read_text() + "\nAda B-PER\n")
    outcome = sweep("optuna", LR, "hydra.sweeper.n_trials=2")
    assert outcome.code == 2
    assert "has changed since the search began" in outcome.err and "force=true" in outcome.err
    assert sweep("optuna", LR, "hydra.sweeper.n_trials=2", "force=true").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra.sweeper.n_trials=0", LR], "at least one trial"),
        (["hydra.sweeper.sampler=tpee", LR], "Did you mean tpe?"),
        (["optimizer.lr=1e-3"], "nothing is swept"),
        (["optimizer.lr=interval(1,0)"], "no range"),
        (["optimizer.lr=tag(log, interval(0,1))"], "low > 0"),
        (["tuning.frozen_layers=7,8", "hydra.sweeper.n_trials=2"], "every trial is refused"),
        (["seed=1,2", "hydra.sweeper.seeds=[1,2]"], "swept twice"),
    ],
)
def test_mistakes_in_a_search_are_one_sentence(sweep: Callable[..., Any], words: list[str], said: str) -> None:
    outcome = sweep("optuna", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_what_a_study_is_told() -> None:
    def record(state: Any, score: float | None) -> Record:
        return Record("k", 0, (), {}, state, score=score)

    assert judged([record("finished", 0.4), record("finished", 0.6)]) == (TrialState.COMPLETE, 0.5)
    assert judged([record("finished", 0.4), record("failed", None)]) == (TrialState.FAIL, None)
    assert judged([record("finished", 0.4), record("hopeless", 0.2)]) == (TrialState.PRUNED, pytest.approx(0.3))
    assert judged([record("finished", None)]) == (TrialState.FAIL, None)
