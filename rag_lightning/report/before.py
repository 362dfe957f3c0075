"""Scores before training beside those after it."""

from collections.abc import Sequence
from dataclasses import replace

from rag_lightning.tasks.evaluation import Evaluation, Table

PREFIX = "before/"

Scores = dict[str, dict[str, float]]  # split -> metric -> value


def with_scores_before(evaluations: Sequence[Evaluation], before: Scores) -> list[Evaluation]:
    """The evaluations with each metric before training as ``before/<name>``, and a table of both."""
    return [_with(each, before[each.split]) if each.split in before else each for each in evaluations]


def _with(evaluation: Evaluation, before: dict[str, float]) -> Evaluation:
    metrics = {**evaluation.metrics, **{f"{PREFIX}{name}": value for name, value in before.items()}}
    rows = tuple(
        (name.replace("_", " "), f"{before[name]:,.3f}", f"{value:,.3f}")
        for name, value in evaluation.metrics.items()
        if name in before
    )
    table = Table("Before and after training", ("score", "before", "after"), rows)
    return replace(evaluation, metrics=metrics, tables=(table, *evaluation.tables))
