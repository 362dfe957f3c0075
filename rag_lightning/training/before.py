"""What the network can do before it is trained, evaluated once."""

import json
from pathlib import Path

from rag_lightning.console import is_rank_zero, say
from rag_lightning.report.before import Scores
from rag_lightning.report.files import write_json
from rag_lightning.tasks.task import Task
from rag_lightning.training.build import Parts
from rag_lightning.training.finish import evaluate_splits
from rag_lightning.training.folder import RunFolder

FILE = "before.json"


def scores_before(task: Task, parts: Parts, folder: RunFolder) -> Scores:
    """Each split's metrics of the network as it was loaded; none for a task that does not show them.

    They are kept beside the resume points, so that an interrupted run need not compute them again. Training is the
    same with and without: a step's random numbers depend on nothing that came before.
    """
    if not task.shows_before:
        return {}
    file = folder.checkpoints / FILE
    if (kept := _kept(file)) is not None:
        return kept
    parts.data.trainer = parts.trainer  # by which the data know how many devices share them
    evaluations = evaluate_splits(parts)
    parts.module.evaluations.clear()
    scores = {evaluation.split: dict(evaluation.metrics) for evaluation in evaluations}
    if is_rank_zero():
        write_json(file, scores)
    shown = ", ".join(f"{e.split} {e.headline} {e.metrics[e.headline]:,.2f}" for e in evaluations)
    say(f"  before   {shown}")
    return scores


def _kept(file: Path) -> Scores | None:
    try:
        kept: Scores = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept
