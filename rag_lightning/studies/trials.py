"""One run of a study: what it is given, and what came out of it, also where it failed."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_lightning.config.compose import compose
from rag_lightning.console import say
from rag_lightning.errors import UserError
from rag_lightning.report.files import write_text
from rag_lightning.studies.options import Arm
from rag_lightning.studies.summary import Outcome

if TYPE_CHECKING:
    from rag_lightning.training.plan import Plan

Train = Callable[[list[str]], Any]


@dataclass(frozen=True)
class Trial:
    """One run: an arm, a seed, its overrides, and a number of labels (0 where the study does not count them)."""

    arm: str
    seed: int
    overrides: tuple[str, ...]
    shots: int = 0


def check_firsts(trials: Sequence[Trial]) -> "Plan":
    """Check the first run of each arm before any has begun; the plan of one of them tells task and data.

    Raises:
        UserError: for a mistake in their settings.
    """
    from rag_lightning.training.plan import make_plan

    firsts = {trial.arm: trial for trial in reversed(trials)}
    return [make_plan(compose("train", list(trial.overrides))) for trial in firsts.values()][-1]


def write_results(folder: Path, outcomes: Sequence[Outcome], table: str) -> None:
    """``results.jsonl`` and ``table.md``, as far as the runs have come."""
    lines = [json.dumps(asdict(outcome), ensure_ascii=False) for outcome in outcomes]
    write_text(folder / "results.jsonl", "\n".join(lines) + "\n")
    write_text(folder / "table.md", table + "\n")


def say_end(folder: Path, outcomes: Sequence[Outcome], table: str) -> None:
    """The table, how many runs gave a score, and where everything lies."""
    failed = sum(outcome.score is None for outcome in outcomes)
    say(f"\n{table}")
    say(f"{len(outcomes) - failed} of {len(outcomes)} runs gave a score; {folder}")


def sets(word: str, keys: Sequence[str]) -> bool:
    """Whether an override sets one of the keys or what lies under it."""
    own = word.partition("=")[0].lstrip("+~")
    return any(own == key or own.startswith(f"{key}.") for key in keys)


def words_for_all(typed: Sequence[str], node: str, instead: Mapping[str, str]) -> list[str]:
    """The user's words that every run gets: those that are not about the study itself.

    Args:
        node: of the study's settings.
        instead: what the study sets for each run, and how that is said to it, where ``{value}`` is the word's.

    Raises:
        UserError: for a word that the study would overrule.
    """
    for word in typed:
        for key, setting in instead.items():
            if sets(word, [key]):
                remedy = f"Write {setting.format(value=word.partition('=')[2])} instead."
                raise UserError(f"the study itself sets {key} for each run", where=word, remedy=remedy)
    return [word for word in typed if not sets(word, [node])]


def overrides_of(arm: Arm, keys: Sequence[str], place: str) -> list[str]:
    """An arm's overrides.

    Args:
        keys: what the study sets for each run; ``place``: the node that holds the arms.

    Raises:
        UserError: if the arm sets one of them.
    """
    for word in arm.overrides:
        if sets(word, keys):
            raise UserError(
                f"the study itself sets {word.partition('=')[0]}",
                where=f"{place}.arms",
                remedy=f"Take it out of the arm's overrides; see {place}.seeds and the other settings of {place}.",
            )
    return arm.overrides


def outcome_of(trial: Trial, train: Train, *, keep_model: bool) -> Outcome:
    """Do a run, or find it done; a mistake in it is told and recorded."""
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
    by_label = _label_scores(result.metrics, metric.partition("/")[0])
    return Outcome(
        trial.arm, trial.shots, trial.seed, float(result.metrics[metric]), metric, float(status.get("seconds", 0.0)),
        None, str(result.folder), by_label, kept_of(result.metrics), result.lower_is_better,
    )  # fmt: skip


def _label_scores(metrics: Mapping[str, float], split: str) -> dict[str, float]:
    """The F1 of each label, which metrics call split/label/f1."""
    start, end = f"{split}/", "/f1"
    return {
        name[len(start) : -len(end)]: float(value)
        for name, value in metrics.items()
        if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end)
    }


def kept_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """What each probe of knowledge found kept, by ``probe/metric``, and the worst of them as ``kept``."""
    from rag_lightning.probe.measure import ADAPTERS_OFF
    from rag_lightning.probe.registry import get_probe

    start, end = "probe/", "kept"
    found = {
        name[len(start) :].removesuffix(f"/{end}"): float(value)
        for name, value in metrics.items()
        if name.startswith(start) and name.endswith(end)
    }
    probes = {name: name.removeprefix(f"{ADAPTERS_OFF}/").partition("/")[0] for name in found}
    return {name: value for name, value in found.items() if name == end or get_probe(probes[name]).of_knowledge}


def folder_of(named: str | None, output_dir: str, kind: str, names: Sequence[str]) -> Path:
    """A study's folder, which is made: the one that is named, or one that says what it is of."""
    folder = Path(named or Path(output_dir) / kind / "-".join(dict.fromkeys(names)))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
