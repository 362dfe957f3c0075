"""Train every arm with every seed, and show the task's score against the knowledge kept and the time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from rag_lightning.config.compose import group_choices
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.studies.comparison_summary import markdown, summarise
from rag_lightning.studies.options import ComparisonConfig
from rag_lightning.studies.summary import Outcome
from rag_lightning.studies.trials import (
    Trial,
    check_firsts,
    folder_of,
    outcome_of,
    overrides_of,
    say_end,
    words_for_all,
    write_results,
)

_INSTEAD = {"seed": "comparison.seeds=[{value}]"}  # what the study sets for each run, and where that is said
_OWN = ("comparison", *_INSTEAD)


def run_comparison(config: DictConfig, typed: Sequence[str]) -> Path:
    """Do what is left of a comparison and write ``results.jsonl``, ``table.md`` and ``pareto.png``.

    Args:
        config: the composed configuration.
        typed: the user's overrides, which every run gets.

    Returns:
        The comparison's folder.

    Raises:
        UserError: for a mistake in the settings, found in the first run of each arm before any has begun.
    """
    from rag_lightning.studies.pareto import plot_pareto
    from rag_lightning.train import train

    plain = to_plain(config)
    study = parse(ComparisonConfig, plain["comparison"], "comparison")
    trials = list(trials_of(study, [*study.shared, *words_for_all(typed, "comparison", _INSTEAD)]))
    first = check_firsts(trials)
    chosen = group_choices(config).get("comparison", "comparison")
    names = [chosen, first.config.task["name"], first.config.data.name]
    folder = folder_of(study.folder, str(plain["output_dir"]), "compare", names)
    outcomes: list[Outcome] = []
    for number, trial in enumerate(trials, start=1):
        say(f"\n{number} of {len(trials)}: {trial.arm}, seed {trial.seed}", style="bold")
        outcomes.append(outcome_of(trial, train, keep_model=study.keep_models))
        write_results(folder, outcomes, markdown(outcomes, list(study.arms)))
        plot_pareto(folder / "pareto.png", summarise(outcomes, list(study.arms)))
    say_end(folder, outcomes, markdown(outcomes, list(study.arms)))
    return folder


def trials_of(study: ComparisonConfig, shared: Sequence[str]) -> Iterator[Trial]:
    """All runs, every arm with the first seed first."""
    for seed in study.seeds:
        for name, arm in study.arms.items():
            yield Trial(name, seed, (*shared, f"seed={seed}", *overrides_of(arm, _OWN, "comparison")))
