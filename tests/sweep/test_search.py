"""Random draws and optuna searches: deterministic, resumable to the exact total, with seeds."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from optuna.trial import TrialState
from sweeps import records_of, states
from test_kills import _told

from rag_lightning.errors import UserError
from rag_lightning.sweep.draw import draw
from rag_lightning.sweep.known import sort_out_search
from rag_lightning.sweep.order import Order
from rag_lightning.sweep.outcome import new_record
from rag_lightning.sweep.question import read_typed
from rag_lightning.sweep.record import Record, State, read_records, write_record
from rag_lightning.sweep.search import Search, check_question, judged, left_to_do
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


def order_of(folder: Path, words: Sequence[Any], stop: str = "none", **more: Any) -> Order:
    """A search without anything that trains."""
    search = {
        "words": [word if isinstance(word, str) else asdict(word) for word in words], "seeds": [], "seed": 1,
        "lower_is_better": False, "question": [], **more,
    }  # fmt: skip
    return Order(folder.name, more["n_trials"], str(folder), "/", "", False, 3, stop, 3, 1.0, 3, search)


def candidate_done(order: Order, state: State = "finished") -> Mapping[str, str]:
    """What a worker that comes anew does with the next candidate."""
    with closing(Search(order)) as search:
        trial = next(search.open_trials())
        record = new_record(trial, state=state, score=None if state == "failed" else 0.5)
        write_record(order.path, record)
        search.settle(trial, record)
    return trial.values


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


@pytest.mark.slow
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


@pytest.fixture
def every_training_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: FineTuning, *batch: Any) -> Any:
        raise RuntimeError("always")

    monkeypatch.setattr(FineTuning, "training_step", broken)


@pytest.mark.usefixtures("every_training_fails")
def test_a_search_goes_on_after_failures(sweep: Callable[..., Any], runs: Path) -> None:
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


def test_a_quasi_random_search_spreads_evenly_also_when_each_candidate_is_another_workers(tmp_path: Path) -> None:
    swept = read_typed(["optimizer.lr=interval(0,1)"]).words
    order = order_of(tmp_path, swept, sampler="qmc", n_trials=9)
    drawn = [candidate_done(order) for _ in range(9)]
    assert left_to_do(order) == 0
    places = sorted(int(float(values["optimizer.lr"]) * 8) for values in drawn[1:])  # the first is drawn at random
    assert places == list(range(8)), "one in each eighth"


def test_a_quasi_random_search_tries_another_candidate_after_a_failure(tmp_path: Path) -> None:
    order = order_of(tmp_path, read_typed(["optimizer.lr=interval(0,1)"]).words, sampler="qmc", n_trials=4)
    assert len({candidate_done(order, "failed")["optimizer.lr"] for _ in range(4)}) == 4


@pytest.mark.usefixtures("every_training_fails")
def test_another_question_in_the_same_folder_is_refused(sweep: Callable[..., Any], tmp_path: Path) -> None:
    own = ("optuna", f"sweep.folder={tmp_path}/mine", "optimizer.lr=interval(1e-5,1e-4)")
    assert sweep(*own, "hydra.sweeper.n_trials=1").code == 3
    for other in (["optimizer.lr=interval(1e-3,1e-2)"], ["hydra.sweeper.sampler=random", "dry_run=true"]):
        refused = sweep(*own, *other, "hydra.sweeper.n_trials=2")
        assert refused.code == 2 and f"here: {other[0]}" in refused.err and "force=true" in refused.err
    assert len(read_records(tmp_path / "mine")) == 1
    assert sweep(*own, "trainer.log_every_n_steps=2", "hydra.sweeper.n_trials=2").code == 3, "the same, and more of it"
    assert len(read_records(tmp_path / "mine")) == 2
    assert sweep(*own, "optimizer.lr=interval(1e-3,1e-2)", "hydra.sweeper.n_trials=1", "force=true").code == 3
    (anew,) = read_records(tmp_path / "mine")
    assert float(anew.values["optimizer.lr"]) >= 1e-3


def test_a_search_that_began_with_other_files_is_refused(tmp_path: Path) -> None:
    order = order_of(tmp_path, read_typed(["optimizer.lr=interval(0,1)"]).words, sampler="tpe", n_trials=1)
    candidate_done(order)
    check_question(order)
    with pytest.raises(UserError, match="another version"):
        check_question(replace(order, origin="another"))


def test_what_a_search_has_given_up_stays_so_without_stopping(tmp_path: Path) -> None:
    words = read_typed(["optimizer.lr=interval(0,1)"]).words
    order = order_of(tmp_path, words, stop="median", sampler="tpe", n_trials=1)
    candidate_done(order, "hopeless")
    patient = replace(order, stop="none")
    sort_out_search(patient)
    assert [record.state for record in read_records(tmp_path)] == ["hopeless"]  # and not waiting for ever
    assert left_to_do(patient) == 0


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
        ([LR, "sweep.again=failed"], "tries it no second time"),
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
