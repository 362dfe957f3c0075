"""Train every arm with every number of labels and every seed; finished runs are recognised, failed ones recorded."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from rag_lightning.config.compose import group_choices
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.studies.options import StudyConfig
from rag_lightning.studies.summary import markdown, metric_of, summarise
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

# What the study sets for each run, and where that is said.
_INSTEAD = {
    "data.shots": "study.shots=[{value}]",
    "data.shots_per_label": "study.per_label=true study.shots=[{value}]",
    "seed": "study.seeds=[{value}]",
}
_OWN = ("study", *_INSTEAD)


def run_study(config: DictConfig, typed: Sequence[str]) -> Path:
    """Do what is left of a study and write ``results.jsonl``, ``table.md`` and ``curves.png``.

    Args:
        config: the composed configuration.
        typed: the user's overrides, which every run gets.

    Returns:
        The study's folder.

    Raises:
        UserError: for a mistake in the settings, found in the first run of each arm before any has begun.
    """
    from rag_lightning.studies.plot import plot_label_curves
    from rag_lightning.train import train

    plain = to_plain(config)
    study = parse(StudyConfig, plain["study"], "study")
    trials = list(trials_of(study, [*study.shared, *words_for_all(typed, "study", _INSTEAD)]))
    first = check_firsts(trials)
    names = [group_choices(config).get("study", "study"), first.config.task["name"], first.config.data.name]
    folder = folder_of(study.folder, str(plain["output_dir"]), "label_efficiency", names)
    outcomes = []
    for number, trial in enumerate(trials, start=1):
        say(f"\n{number} of {len(trials)}: {trial.arm}, {trial.shots:,} labels, seed {trial.seed}", style="bold")
        outcomes.append(outcome_of(trial, train, keep_model=study.keep_models))
        write_results(folder, outcomes, markdown(outcomes, list(study.arms), per_label=study.per_label))
    rows = summarise(outcomes, list(study.arms))
    plot_label_curves(folder / "curves.png", rows, metric_of(outcomes), per_label=study.per_label)
    say_end(folder, outcomes, markdown(outcomes, list(study.arms), per_label=study.per_label))
    return folder


def trials_of(study: StudyConfig, shared: Sequence[str]) -> Iterator[Trial]:
    """All runs, those with few labels first, so that a picture shows early."""
    key = "data.shots_per_label" if study.per_label else "data.shots"
    numbers = {name: set(study.shots if arm.shots is None else arm.shots) for name, arm in study.arms.items()}
    for shots in sorted({number for several in numbers.values() for number in several}):
        for seed in study.seeds:
            for name, arm in study.arms.items():
                if shots in numbers[name]:
                    words = (*shared, f"{key}={shots}", f"seed={seed}", *overrides_of(arm, _OWN, "study"))
                    yield Trial(name, seed, words, shots)
