"""Hopeless trials end early; what they did is kept for whoever needs them in full."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Command
from sweeps import records_of, states

from rag_lightning.sweep import hopeless
from rag_lightning.sweep.hopeless import at, curve_of, verdict
from rag_lightning.sweep.order import Order

GOOD = [((1.0, 0.5), (2.0, 0.6), (3.0, 0.7)), ((1.0, 0.4), (2.0, 0.5)), ((1.0, 0.3), (2.0, 0.4), (3.0, 0.4))]


def order(stop: str, **more: Any) -> Order:
    settings = {"stop_after": 3, "stop_from": 1.0, "stop_factor": 3} | more
    return Order("x", 9, "/x", "/", "", False, 3, stop, **settings)


def test_a_curve_is_the_best_so_far() -> None:
    rows = [{"epoch": e, "validation/f1": v} for e, v in ((1.0, 0.3), (2.0, 0.2), (3.0, float("nan")), (4.0, 0.5))]
    assert curve_of(rows, "validation/f1", lower=False) == ((1.0, 0.3), (2.0, 0.3), (4.0, 0.5))
    assert curve_of(rows, "validation/f1", lower=True) == ((1.0, 0.3), (2.0, 0.2), (4.0, 0.2))
    assert at(GOOD[1], 1.5) == 0.4
    assert at(GOOD[1], 3.0) is None, "it had ended"


def test_median() -> None:
    assert verdict(0.39, 1.0, GOOD, order("median"), lower=False) is not None
    assert verdict(0.40, 1.0, GOOD, order("median"), lower=False) is None
    assert verdict(0.41, 1.0, GOOD, order("median"), lower=True) is not None
    assert verdict(0.01, 1.0, GOOD, order("median", stop_after=4), lower=False) is None, "too few have ended"
    assert verdict(0.01, 1.0, GOOD, order("median", stop_from=2.0), lower=False) is None, "each is given some epochs"


def test_halving() -> None:
    asked = order("halving")
    assert verdict(0.45, 1.0, GOOD, asked, lower=False) is not None, "one in three goes on"
    assert verdict(0.55, 1.0, GOOD, asked, lower=False) is None
    assert verdict(0.01, 2.0, GOOD, asked, lower=False) is None, "no rung"
    assert verdict(0.01, 3.0, GOOD, asked, lower=False) is not None


@pytest.fixture
def sweep(run: Command, tiny_run: Callable[..., list[str]], no_pictures: None) -> Callable[..., Any]:
    def of(*more: str) -> Any:
        own = ("trainer.max_epochs=4", "trainer.enable_progress_bar=false", "optimizer.lr=3e-3,1e-3,1e-9")
        return run("train", "-m", *tiny_run(*own, *more))

    return of


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["median", "halving"])
def test_a_hopeless_trial_ends_early_and_is_never_called_finished(
    sweep: Callable[..., Any], stop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_loss(rows: Any, metric: str, lower: bool) -> Any:  # f1 does not tell such small runs apart
        return tuple((epoch, -best) for epoch, best in curve_of(rows, "validation/loss", lower=True))

    monkeypatch.setattr(hopeless, "curve_of", by_loss)
    outcome = sweep(f"sweep.stop={stop}", "sweep.stop_after=2")
    runs = tmp_path / "runs"
    assert outcome.code == 0
    last = records_of(runs)[-1]
    assert last.state == "hopeless"
    assert "at epoch 1" in str(last.reason)
    assert not (Path(str(last.folder)) / "metrics.json").exists()
    assert "3 trials: 2 finished, 1 hopeless" in outcome.out
    again = sweep(f"sweep.stop={stop}", "sweep.stop_after=2")
    assert "0 to run, 3 done" in again.out
    in_full = sweep()
    assert "1 to run, 2 done" in in_full.out
    assert states(runs) == ["finished"] * 3
    logs = "".join(log.read_text() for log in (runs / "sweeps").glob("*/workers/*.log"))
    assert logs.count("resuming from step-") == 1
