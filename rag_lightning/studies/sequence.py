"""One backbone learns task after task; each task is measured again after each later one.

What is measured follows continual learning: a matrix with the score on task j after learning task i, by the head that
task j got when it was learnt, on the backbone as task i left it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from rag_lightning.config.compose import compose
from rag_lightning.config.overrides import override
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.evaluate import evaluate
from rag_lightning.model.interface import TEXT_HEADS
from rag_lightning.report.files import write_text
from rag_lightning.studies.options import SequenceConfig
from rag_lightning.studies.sequence_summary import Course, markdown, plot_courses
from rag_lightning.studies.trials import folder_of, overrides_of, words_for_all
from rag_lightning.train import train
from rag_lightning.training.plan import make_plan
from rag_lightning.training.run import RunResult

_OWN = ("sequence", "seed")  # set for each run by the study
_OF_TASK = "it in the overrides of a task, such as 'sequence.tasks.ner=\"task=ner data.path=FOLDER\"',"
# What a word of the user's would change in every task, and where it is said.
_INSTEAD = {"seed": "sequence.seeds=[{value}]", "task": _OF_TASK, "data": _OF_TASK}


def run_sequence(config: DictConfig, typed: Sequence[str]) -> Path:
    """Learn the tasks in each way and with each seed; write ``courses.jsonl``, ``table.md`` and ``courses.png``.

    Args:
        config: the composed configuration.
        typed: the user's overrides, which every run gets.

    Returns:
        The study's folder.

    Raises:
        UserError: for a mistake in the settings, found before any run has begun.
    """
    plain = to_plain(config)
    study = parse(SequenceConfig, plain["sequence"], "sequence")
    shared = [*study.shared, *words_for_all(typed, "sequence", _INSTEAD)]
    every = [words_of(study, shared, task, arm, study.seeds[0]) for arm in study.arms for task in study.tasks]
    for words in every:
        make_plan(compose("train", words))
    folder = folder_of(study.folder, str(plain["output_dir"]), "sequence", list(study.tasks))
    courses: list[Course] = []
    for seed in study.seeds:
        for arm in study.arms:
            say(f"\n{arm}, seed {seed}", style="bold")
            courses.append(_course(study, shared, arm, seed))
            lines = [json.dumps(asdict(course), ensure_ascii=False) for course in courses]
            write_text(folder / "courses.jsonl", "\n".join(lines) + "\n")
            write_text(folder / "table.md", markdown(courses) + "\n")
            plot_courses(folder / "courses.png", courses)
    say(f"\n{markdown(courses)}\n{folder}")
    return folder


def _course(study: SequenceConfig, shared: Sequence[str], arm: str, seed: int) -> Course:
    names, scores, alone = list(study.tasks), [], []
    done: list[RunResult] = []
    for number, task in enumerate(names):
        words = words_of(study, shared, task, arm, seed)
        say(f"\n{arm}, seed {seed}: {task}", style="bold")
        fresh = train(words)  # from the pretrained backbone; the first task of a course is just that
        alone.append(_score(fresh))
        done.append(train([*words, *_from(done[-1], words)]) if number else fresh)
        scores.append([_left(run, done[-1]) for run in done[:-1]] + [_score(done[-1])])
    metrics = [run.headline for run in done]
    return Course(arm, seed, names, metrics, scores, alone, [run.lower_is_better for run in done])


def words_of(study: SequenceConfig, shared: Sequence[str], task: str, arm: str, seed: int) -> list[str]:
    """The overrides of a task that is learnt from the pretrained backbone, in one way."""
    own = [overrides_of(each, _OWN, "sequence") for each in (study.tasks[task], study.arms[arm])]
    return [*shared, f"seed={seed}", *own[0], *own[1]]


def _from(run: RunResult, words: list[str]) -> list[str]:
    """What makes a run begin with another's backbone, which is pooled as the pretrained one is for that task."""
    from rag_lightning.model.pooling import choose_pooling

    alone = make_plan(compose("train", words))
    name, pooling = alone.config.model.name, "auto"
    if alone.head in TEXT_HEADS:
        pooling = choose_pooling(alone.model.folder, alone.architecture, alone.config.model, alone.head)
    settings = {"path": str(run.folder / "model"), "name": name, "pooling": pooling}
    return ["model=local", *(override(f"model.{key}", value) for key, value in settings.items())]


def _left(run: RunResult, later: RunResult) -> float:
    """A finished task's score on the backbone of a later one; kept beside the later run until one is made again."""
    file = later.folder / f"still-{run.folder.name}.json"
    made = max((each.folder / "status.json").stat().st_mtime for each in (run, later))
    if not file.is_file() or file.stat().st_mtime < made:
        folders = {"run": str(run.folder), "backbone": str(later.folder)}
        metrics = evaluate([*(override(key, folder) for key, folder in folders.items()), f"split={_split(run)}"])
        write_text(file, json.dumps(metrics, indent=1))
    return float(json.loads(file.read_text(encoding="utf-8"))[f"{_split(run)}/{run.headline}"])


def _split(run: RunResult) -> str:
    return "test" if f"test/{run.headline}" in run.metrics else "validation"


def _score(run: RunResult) -> float:
    return float(run.metrics[f"{_split(run)}/{run.headline}"])
