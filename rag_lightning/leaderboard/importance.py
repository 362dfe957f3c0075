"""How much of the spread of scores each swept key explains (fANOVA).

Hutter, Hoos, Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014; as Optuna
computes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rag_lightning.leaderboard.levels import MISSING
from rag_lightning.leaderboard.names import SEED, as_number, by_nature
from rag_lightning.leaderboard.rows import Leaderboard
from rag_lightning.sweep.record import Record

MOST_TRIALS = 500  # a forest on more takes long and says the same
MOST_WORDS = 30  # different words that a key may have
LEAST_TRIALS, TRIALS_A_KEY = 8, 3


@dataclass(frozen=True)
class Importance:
    """Shares by short name, the greatest first; empty, and why, where nothing can be told."""

    shares: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


def importance(board: Leaderboard) -> Importance:
    """The share of the variance of the validation headline that each swept key explains; the seed is chance."""
    records = [record for row in board.ranked for record in row.finished]
    names = {**board.keys, **({SEED: SEED} if board.seeds else {})}
    axes = {key: _distribution([record.values.get(key, MISSING) for record in records]) for key in names}
    told = {key: axis for key, axis in axes.items() if axis is not None}
    left_out = [names[key] for key, axis in axes.items() if axis is None]
    needed = max(LEAST_TRIALS, TRIALS_A_KEY * len(told))
    if not told or len({record.score for record in records}) < 2:
        return Importance(note="Nothing differs, so nothing can be told.")
    if len(records) < needed:
        return Importance(
            note=f"Too few trials to tell: {len(records)} have a score, {len(told)} swept keys need {needed} or more."
        )
    shares = _fanova(_evenly(records), told, minimize=board.question.lower_is_better)
    ordered = sorted(shares.items(), key=lambda item: (-item[1], names[item[0]]))
    note = f"Left out, with too many different values: {', '.join(left_out)}." if left_out else ""
    if len(records) < 4 * needed:
        note = f"From {len(records)} trials only: the order is a hint, not a measurement. {note}".strip()
    return Importance({names[key]: share for key, share in ordered}, note)


def _fanova(records: Sequence[Record], axes: Mapping[str, Any], *, minimize: bool) -> dict[str, float]:
    import optuna

    with _quiet(optuna):
        study = optuna.create_study(direction="minimize" if minimize else "maximize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={key: _value(axis, record.values.get(key, MISSING)) for key, axis in axes.items()},
                    distributions=dict(axes),
                    value=record.score,
                )
                for record in records
            ]
        )
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=0)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(found.get(key, 0.0)) for key in axes}


def _distribution(values: Sequence[str]) -> Any:
    """Optuna's distribution of a key; None where it has too many different words."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    distinct = sorted(set(values), key=by_nature)
    numbers = [number for value in distinct if (number := as_number(value)) is not None]
    if len(numbers) == len(distinct) and len(numbers) > 1:
        small, large = min(numbers), max(numbers)
        if large > small:
            return FloatDistribution(small, large, log=small > 0 and large / small >= 10)
    return CategoricalDistribution(distinct) if 0 < len(distinct) <= MOST_WORDS else None


def _value(axis: Any, value: str) -> Any:
    return value if hasattr(axis, "choices") else float(value)


def _evenly(records: Sequence[Record]) -> list[Record]:
    """At most ``MOST_TRIALS``, from the best to the worst."""
    if len(records) <= MOST_TRIALS:
        return list(records)
    return [records[i * len(records) // MOST_TRIALS] for i in range(MOST_TRIALS)]


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
