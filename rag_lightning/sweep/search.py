"""A search by optuna, by ask and tell: workers share one study, which lies in SQLite in the sweep's folder.

The study knows candidates; what became of a candidate's runs stands in the sweep's records. A candidate that was asked
for and never told (its worker was killed) is taken up again with the same values, so ``n_trials`` is the exact total.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from rag_lightning.errors import UserError, nearest
from rag_lightning.sweep.draw import number
from rag_lightning.sweep.known import STUDY
from rag_lightning.sweep.order import Order, claimed, is_settled
from rag_lightning.sweep.question import Dimension, Trial, Typed, with_seeds
from rag_lightning.sweep.record import Record, read_record

_LOCK = "study"  # asking and telling, one worker at a time
_VALUES = "values"
_QUESTION, _ORIGIN = "question", "origin"  # of a study: what it was asked, and see Order
_PATIENCE = 600.0  # seconds for the study's lock


def _sequence(seed: int, own: int) -> BaseSampler:
    """Points are spread evenly only within one sequence, so its seed is the search's; the study keeps its position.

    Before a candidate has ended well there is no sequence yet, and candidates are drawn at random.
    """
    return optuna.samplers.QMCSampler(
        seed=seed, scramble=True, independent_sampler=optuna.samplers.RandomSampler(seed=own)
    )


# By the seed of the search, and one of each candidate's own.
_SAMPLERS: Mapping[str, Callable[[int, int], BaseSampler]] = {
    # A running candidate counts as a bad one, so that workers do not all try the same.
    "tpe": lambda _, own: optuna.samplers.TPESampler(seed=own, constant_liar=True),
    "gp": lambda _, own: optuna.samplers.GPSampler(seed=own),
    "qmc": _sequence,
    "random": lambda _, own: optuna.samplers.RandomSampler(seed=own),
}


def check_sampler(name: str) -> None:
    """Raise a UserError for a sampler that does not exist."""
    if name not in _SAMPLERS:
        close = nearest(name, list(_SAMPLERS))
        remedy = f"Did you mean {close[0]}? " if close else ""
        remedy += f"There are: {', '.join(_SAMPLERS)}."
        raise UserError(f"no sampler named {name!r}", where="hydra.sweeper.sampler", remedy=remedy)


class Search:
    """Where a worker's trials come from in a search."""

    def __init__(self, order: Order) -> None:
        assert order.search is not None
        self.order, given = order, order.search
        self.typed = Typed(tuple(w if isinstance(w, str) else _dimension(w) for w in given["words"]))
        self.seeds, self.seed, self.n_trials = given["seeds"], int(given["seed"]), int(given["n_trials"])
        self.sampler, self.lower = _SAMPLERS[given["sampler"]], bool(given["lower_is_better"])
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self._alone():
            self._storage = _open(order)
            self.study = optuna.create_study(
                study_name=order.name, storage=self._storage, load_if_exists=True,
                direction="minimize" if self.lower else "maximize",
            )  # fmt: skip
            if _QUESTION not in self.study.user_attrs:
                self.study.set_user_attr(_ORIGIN, order.origin)
                self.study.set_user_attr(_QUESTION, given["question"])

    def open_trials(self) -> Iterator[Trial]:
        """Trials of candidates that were asked for, then those of a new one."""
        for candidate in self._running():
            yield from self._open_of(candidate)
        if (new := self._ask()) is not None:
            yield from self._open_of(new)

    def settle(self, trial: Trial, record: Record) -> None:
        """Tell the study, once all seeds of the candidate are settled."""
        for candidate in self._running():
            if any(own.key == trial.key for own in self._trials_of(candidate)):
                self._tell(candidate)

    def is_done(self) -> bool:
        return self.left() == 0

    def close(self) -> None:
        """Let go of the study's file."""
        _let_go(self._storage)

    def left(self) -> int:
        """Candidates that were not asked for or not told."""
        told = sum(candidate.state.is_finished() for candidate in self.study.get_trials(deepcopy=False))
        return max(0, self.n_trials - told)

    def _alone(self) -> Any:
        return claimed(self.order.path, _LOCK, timeout=_PATIENCE)

    def _running(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _ask(self) -> FrozenTrial | None:
        with self._alone():
            known = self.study.get_trials(deepcopy=False)
            if len(known) >= self.n_trials:
                return None
            self.study.sampler = self._sampler_of(len(known))
            asked = self.study.ask()
            asked.set_user_attr(_VALUES, suggest(asked, self.typed.swept))
            return next(each for each in self._running() if each.number == asked.number)

    def _sampler_of(self, number: int) -> BaseSampler:
        """A candidate's sampler, of its own seed: what is drawn does not hang on how often the search broke off."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # for each candidate
            return self.sampler(self.seed % 2**32, (self.seed * 1_000_003 + number) % 2**32)

    def _open_of(self, candidate: FrozenTrial) -> list[Trial]:
        if _VALUES not in candidate.user_attrs:  # its worker was killed between asking and drawing
            with self._alone():
                self.study.sampler = self._sampler_of(candidate.number)
                again = optuna.trial.Trial(self.study, candidate._trial_id)
                again.set_user_attr(_VALUES, suggest(again, self.typed.swept))
            candidate = next(each for each in self._running() if each.number == candidate.number)
        trials = self._trials_of(candidate)
        waiting = [trial for trial in trials if not is_settled(self._record(trial), self.order)]
        if not waiting:
            self._tell(candidate)
        return waiting

    def _trials_of(self, candidate: FrozenTrial) -> list[Trial]:
        values = candidate.user_attrs.get(_VALUES)
        if values is None:
            return []
        runs = with_seeds([values], self.seeds)
        first = candidate.number * len(runs)
        return [Trial(first + place, self.typed.overrides(each), each) for place, each in enumerate(runs)]

    def _record(self, trial: Trial) -> Record | None:
        return read_record(self.order.path, trial.key)

    def _tell(self, candidate: FrozenTrial) -> None:
        records = [record for trial in self._trials_of(candidate) if (record := self._record(trial)) is not None]
        if len(records) < max(1, len(self.seeds)) or not all(is_settled(each, self.order) for each in records):
            return
        with self._alone():
            if candidate.number not in {each.number for each in self._running()}:
                return  # another worker was quicker
            state, value = judged(records)
            if state == TrialState.PRUNED and value is not None:
                optuna.trial.Trial(self.study, candidate._trial_id).report(value, step=0)
            self.study.tell(candidate.number, None if state != TrialState.COMPLETE else value, state=state)


def judged(records: Sequence[Record]) -> tuple[TrialState, float | None]:
    """What a study is told of a candidate: the mean over its seeds; one that failed with any seed has failed."""
    scores = [record.score for record in records if record.score is not None and math.isfinite(record.score)]
    states = {record.state for record in records}
    if states & {"failed", "refused"} or len(scores) < len(records):
        return TrialState.FAIL, None
    mean = sum(scores) / len(scores)
    return (TrialState.PRUNED if "hopeless" in states else TrialState.COMPLETE), mean


def suggest(trial: optuna.trial.Trial, dimensions: Sequence[Dimension]) -> dict[str, str]:
    """A value for each swept key, as on the command line."""
    values = {}
    for each in dimensions:
        if each.whole and each.step > 0:
            low, high = sorted((int(each.low), int(each.high)))
            step = {} if each.log else {"step": each.step}
            values[each.key] = str(trial.suggest_int(each.key, low, high, log=each.log, **step))
        elif each.is_interval:
            values[each.key] = number(trial.suggest_float(each.key, each.low, each.high, log=each.log))
        else:
            values[each.key] = str(trial.suggest_categorical(each.key, each.choices))
    return values


def check_question(order: Order) -> None:
    """Refuse to go on with a study that was asked something else: its candidates would count for this question.

    Raises:
        UserError: if it was, unless all begins anew with force.
    """
    if order.force or order.search is None or not (order.path / STUDY).is_file():
        return
    storage = _open(order)
    try:
        asked = optuna.load_study(study_name=order.name, storage=storage).user_attrs
    except KeyError:  # of a folder that had another name
        return
    finally:
        _let_go(storage)
    if (reason := _difference(asked, order.search["question"], order.origin)) is not None:
        remedy = "Begin again with force=true, or in another folder with sweep.folder=…."
        raise UserError(f"the search in this folder {reason}", where=order.folder, remedy=remedy)


def _difference(asked: Mapping[str, Any], question: Sequence[str], origin: str) -> str | None:
    then = asked.get(_QUESTION, question)
    if set(then) != set(question):
        there, here = ([word for word in one if word not in two] for one, two in ((then, question), (question, then)))
        return f"is another one (there: {', '.join(there) or 'no more'}; here: {', '.join(here) or 'no more'})"
    if asked.get(_ORIGIN, origin) != origin:
        return "began with another version, other files in conf/ or another working directory"
    return None


def left_to_do(order: Order) -> int:
    """Candidates of a search that are not told yet."""
    assert order.search is not None
    if not (order.path / STUDY).is_file():
        return int(order.search["n_trials"])
    with closing(Search(order)) as search:
        return search.left()


def _open(order: Order) -> RDBStorage:
    # Others may be at the file: wait for them.
    waiting = {"connect_args": {"timeout": _PATIENCE}}
    return RDBStorage(f"sqlite:///{order.path / STUDY}", engine_kwargs=waiting)


def _let_go(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


def _dimension(given: Mapping[str, Any]) -> Dimension:
    return Dimension(**{**given, "choices": tuple(given["choices"])})
