"""Train every arm with every number of labels and every seed; finished runs are recognised, failed ones recorded."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rag_lightning.config.compose import compose, group_choices
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.errors import UserError
from rag_lightning.report.files import write_text
from rag_lightning.studies.options import Arm, StudyConfig
from rag_lightning.studies.summary import Outcome, markdown, metric_of, summarise

_OWN = ("study", "data.shots", "data.shots_per_label", "seed")  # set for each run by the study


@dataclass(frozen=True)
class Trial:
    """One run: an arm, a number of labels, a seed, and its overrides."""

    arm: str
    shots: int
    seed: int
    overrides: tuple[str, ...]


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
    from rag_lightning.training.plan import make_plan

    plain = to_plain(config)
    study = parse(StudyConfig, plain["study"], "study")
    trials = list(trials_of(study, [*study.shared, *(word for word in typed if not _is_own(word))]))
    firsts = {trial.arm: trial for trial in reversed(trials)}
    plans = [make_plan(compose("train", list(trial.overrides))) for trial in firsts.values()]
    names = [group_choices(config).get("study", "study"), plans[-1].config.task["name"], plans[-1].config.data.name]
    folder = Path(study.folder or Path(str(plain["output_dir"])) / "label_efficiency" / "-".join(dict.fromkeys(names)))
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for number, trial in enumerate(trials, start=1):
        say(f"\n{number} of {len(trials)}: {trial.arm}, {trial.shots:,} labels, seed {trial.seed}", style="bold")
        outcomes.append(_outcome(trial, train, keep_model=study.keep_models))
        _write(folder, outcomes, study)
    rows = summarise(outcomes, list(study.arms))
    plot_label_curves(folder / "curves.png", rows, metric_of(outcomes), per_label=study.per_label)
    say("\n" + markdown(outcomes, list(study.arms), per_label=study.per_label))
    failed = sum(outcome.score is None for outcome in outcomes)
    say(f"{len(outcomes) - failed} of {len(outcomes)} runs gave a score; {folder}")
    return folder


def trials_of(study: StudyConfig, shared: Sequence[str]) -> Iterator[Trial]:
    """All runs, those with few labels first, so that a picture shows early."""
    key = "data.shots_per_label" if study.per_label else "data.shots"
    numbers = {name: set(study.shots if arm.shots is None else arm.shots) for name, arm in study.arms.items()}
    for shots in sorted({number for several in numbers.values() for number in several}):
        for seed in study.seeds:
            for name, arm in study.arms.items():
                if shots in numbers[name]:
                    words = (*shared, f"{key}={shots}", f"seed={seed}", *_of(arm))
                    yield Trial(name, shots, seed, words)


def _of(arm: Arm) -> list[str]:
    for word in arm.overrides:
        if _is_own(word):
            raise UserError(
                f"the study itself sets {word.partition('=')[0]}",
                where="study.arms",
                remedy="Take it out of the arm's overrides; see study.shots and study.seeds.",
            )
    return arm.overrides


def _is_own(word: str) -> bool:
    key = word.partition("=")[0].lstrip("+~")
    return any(key == own or key.startswith(f"{own}.") for own in _OWN)


def _outcome(trial: Trial, train: Callable[[list[str]], Any], *, keep_model: bool) -> Outcome:
    try:
        result = train(list(trial.overrides))
    except UserError as mistake:
        say(f"failed: {mistake}", style="red")
        return Outcome(trial.arm, trial.shots, trial.seed, None, "", 0.0, str(mistake), None)
    status = json.loads((result.folder / "status.json").read_text(encoding="utf-8"))
    if not keep_model and not result.already_done:  # another's model is not ours to delete
        shutil.rmtree(result.folder / "model", ignore_errors=True)
    names = (f"test/{result.headline}", f"validation/{result.headline}")
    metric = next(name for name in names if name in result.metrics)
    score, seconds = float(result.metrics[metric]), float(status.get("seconds", 0.0))
    by_label = _label_scores(result.metrics, metric.partition("/")[0])
    return Outcome(trial.arm, trial.shots, trial.seed, score, metric, seconds, None, str(result.folder), by_label)


def _label_scores(metrics: Mapping[str, float], split: str) -> dict[str, float]:
    """The F1 of each label, which metrics call split/label/f1."""
    start, end = f"{split}/", "/f1"
    return {
        name[len(start) : -len(end)]: float(value)
        for name, value in metrics.items()
        if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end)
    }


def _write(folder: Path, outcomes: list[Outcome], study: StudyConfig) -> None:
    lines = [json.dumps(asdict(outcome), ensure_ascii=False) for outcome in outcomes]
    write_text(folder / "results.jsonl", "\n".join(lines) + "\n")
    write_text(folder / "table.md", markdown(outcomes, list(study.arms), per_label=study.per_label) + "\n")
