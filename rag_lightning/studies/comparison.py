"""Train every arm with every seed, and show the task's score against the knowledge kept and the time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from rag_lightning.config.compose import compose, group_choices
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.report.files import write_text
from rag_lightning.studies.comparison_summary import markdown, summarise
from rag_lightning.studies.options import ComparisonConfig
from rag_lightning.studies.summary import Outcome
from rag_lightning.studies.trials import Trial, folder_of, outcome_of, overrides_of, sets

_OWN = ("comparison", "seed")  # set for each run by the study


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
    from rag_lightning.training.plan import make_plan

    plain = to_plain(config)
    study = parse(ComparisonConfig, plain["comparison"], "comparison")
    trials = list(trials_of(study, [*study.shared, *(word for word in typed if not sets(word, _OWN))]))
    plans = [make_plan(compose("train", list(trial.overrides))) for trial in trials[: len(study.arms)]]
    chosen = group_choices(config).get("comparison", "comparison")
    names = [chosen, plans[0].config.task["name"], plans[0].config.data.name]
    folder = folder_of(study.folder, str(plain["output_dir"]), "compare", names)
    outcomes: list[Outcome] = []
    for number, trial in enumerate(trials, start=1):
        say(f"\n{number} of {len(trials)}: {trial.arm}, seed {trial.seed}", style="bold")
        outcomes.append(outcome_of(trial, train, keep_model=study.keep_models))
        _write(folder, outcomes, study)
        plot_pareto(folder / "pareto.png", summarise(outcomes, list(study.arms)))
    say("\n" + markdown(outcomes, list(study.arms)))
    failed = sum(outcome.score is None for outcome in outcomes)
    say(f"{len(outcomes) - failed} of {len(outcomes)} runs gave a score; {folder}")
    return folder


def trials_of(study: ComparisonConfig, shared: Sequence[str]) -> Iterator[Trial]:
    """All runs, every arm with the first seed first."""
    for seed in study.seeds:
        for name, arm in study.arms.items():
            yield Trial(name, seed, (*shared, f"seed={seed}", *overrides_of(arm, _OWN, "comparison")))


def _write(folder: Path, outcomes: list[Outcome], study: ComparisonConfig) -> None:
    lines = [json.dumps(asdict(outcome), ensure_ascii=False) for outcome in outcomes]
    write_text(folder / "results.jsonl", "\n".join(lines) + "\n")
    write_text(folder / "table.md", markdown(outcomes, list(study.arms)) + "\n")
