"""What Hydra calls with ``-m``: how trials are chosen (``hydra/sweeper=grid|random|optuna``)."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from rag_lightning.config.overrides import override
from rag_lightning.errors import UserError
from rag_lightning.sweep.draw import draw
from rag_lightning.sweep.launchers import no_launcher
from rag_lightning.sweep.order import Order
from rag_lightning.sweep.question import Trial, Typed, product, read_typed, trials_of, with_seeds
from rag_lightning.sweep.ranks import follow, leading, many_ranks
from rag_lightning.sweep.run import Asked, Launch, run_sweep

EXAMPLES = 8  # of a search, planned before it begins: what is refused shall show at once


class _SweeperOfRuns(Sweeper):
    """What our sweepers share: from Hydra's words to a sweep, and from workers to Hydra's launcher.

    Args:
        workers: at a time; None: as many as the launcher runs at once, if it says so, else 1.
        params: further swept keys, as ``{key: values as typed}``.
    """

    def __init__(self, workers: int | None = None, params: Mapping[str, str] | None = None) -> None:
        self.workers, self.params = workers, dict(params or {})
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.launcher = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def sweep(self, arguments: list[str]) -> Any:
        assert self.config is not None and self.hydra_context is not None
        if follow():
            return
        words = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        typed = read_typed(words, self.hydra_context.config_loader)
        workers = 1 if many_ranks() > 1 else self.workers or _at_once(self.config.hydra.launcher)
        launcher = str(self.config.hydra.runtime.choices["hydra/launcher"])
        if many_ranks() > 1 and launcher != "basic":
            raise UserError(
                f"torchrun or srun made {many_ranks()} ranks, and hydra/launcher={launcher} would start more",
                where="hydra/launcher",
                remedy="Leave one of the two out.",
            )
        trials, search, n_trials = self.ask(typed)
        way = {"sweeper": type(self).__name__, **self.way()}
        with leading():
            run_sweep(Asked(typed, way, self.config, trials, workers, search, n_trials), self._send)

    def way(self) -> dict[str, Any]:
        """The settings that change which trials are asked for (not how many)."""
        return {}

    def ask(self, typed: Typed) -> tuple[Sequence[Trial], dict[str, Any] | None, int]:
        """The trials; for a search examples of them, what workers must know to ask, and how many."""
        raise NotImplementedError

    def _send(self, order: Order) -> Launch:
        """Hydra's launcher, which sends workers instead of trials."""
        from rag_lightning.sweep.worker import WorkerEnd, this_process, work

        assert self.config is not None and self.hydra_context is not None
        config, logs = self.config.copy(), f"{order.folder}/workers"
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.sweep.dir = logs
            config.hydra.overrides.hydra.append(override("hydra.sweep.dir", logs))
        try:
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self.hydra_context, task_function=work, config=config
            )
        except (ImportError, RuntimeError) as error:
            raise no_launcher(str(config.hydra.runtime.choices["hydra/launcher"]), str(error)) from None
        sent = [0]

        def launch(workers: int) -> bool:
            first, sent[0] = sent[0], sent[0] + workers
            returns = launcher.launch([[override("sweep.folder", order.folder)]] * workers, initial_job_idx=first)
            ends: list[WorkerEnd] = [each.return_value for each in returns]  # raises what a worker raised
            return any(end.stopped and end.process == this_process() for end in ends)

        return launch


class GridSweeper(_SweeperOfRuns):
    """Every combination of the values."""

    def ask(self, typed: Typed) -> tuple[Sequence[Trial], dict[str, Any] | None, int]:
        return trials_of(typed, list(product(typed))), None, 0


class RandomSweeper(_SweeperOfRuns):
    """Combinations drawn at random from values and ranges: the same ones each time, more with a larger ``n_trials``.

    Args:
        n_trials: candidates that are drawn; ``seeds``: each is run with each of these.
        seed: of the draws.
    """

    def __init__(
        self, n_trials: int, seed: int, seeds: Sequence[int] = (), workers: int | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(workers, params)
        self.n_trials, self.seed, self.seeds = n_trials, seed, list(seeds)

    def way(self) -> dict[str, Any]:
        return {"seed": self.seed, "seeds": self.seeds}

    def ask(self, typed: Typed) -> tuple[Sequence[Trial], dict[str, Any] | None, int]:
        _check_search(typed, self.n_trials, self.seeds)
        drawn = draw(typed.swept, self.n_trials, self.seed)
        return trials_of(typed, with_seeds(drawn, self.seeds)), None, 0


class OptunaSweeper(RandomSweeper):
    """Candidates by optuna, which learns from the scores so far; its study lies in the sweep's folder.

    Args:
        sampler: tpe, gp, qmc or random.
    """

    def __init__(
        self, n_trials: int, seed: int, sampler: str, seeds: Sequence[int] = (), workers: int | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(n_trials, seed, seeds, workers, params)
        self.sampler = sampler

    def way(self) -> dict[str, Any]:
        return {**super().way(), "sampler": self.sampler}

    def ask(self, typed: Typed) -> tuple[Sequence[Trial], dict[str, Any] | None, int]:
        from rag_lightning.sweep.search import check_sampler

        _check_search(typed, self.n_trials, self.seeds)
        check_sampler(self.sampler)
        examples = trials_of(typed, with_seeds(draw(typed.swept, min(EXAMPLES, self.n_trials), self.seed), self.seeds))
        search = {
            "words": [word if isinstance(word, str) else asdict(word) for word in typed.words],
            "seeds": self.seeds, "seed": self.seed, "sampler": self.sampler, "n_trials": self.n_trials,
        }  # fmt: skip
        return examples, search, self.n_trials * max(1, len(self.seeds))


def _check_search(typed: Typed, n_trials: int, seeds: Sequence[int]) -> None:
    if n_trials < 1:
        raise UserError("at least one trial is needed", where="hydra.sweeper.n_trials", remedy="Set it to 20, say.")
    if not typed.swept:
        raise UserError(
            "nothing is swept",
            where="command line",
            remedy="Give ranges: 'optimizer.lr=tag(log, interval(1e-5,1e-3))'.",
        )
    if seeds and any(re.match(r"\+*seed$", d.key) for d in typed.swept):
        raise UserError("seed is swept twice", where="hydra.sweeper.seeds", remedy="Leave seed=… out.")


def _at_once(launcher: DictConfig) -> int:
    """How many jobs a launcher runs at a time, where its settings say so."""
    jobs = OmegaConf.select(launcher, "n_jobs")
    if jobs is None:
        return 1
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(jobs) if jobs > 0 else max(1, cpus + 1 + int(jobs))


SWEEPERS = (GridSweeper, RandomSweeper, OptunaSweeper)
