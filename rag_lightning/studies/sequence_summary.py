"""Forgetting and transfer over a sequence of tasks, as continual learning defines them."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from rag_lightning.report.plots import LINES, save_figure, style


@dataclass(frozen=True)
class Course:
    """Tasks learnt after one another in one way with one seed.

    Attributes:
        scores: after task i, of each task up to i: ``scores[i][j]``.
        alone: of each task when it is learnt from the pretrained backbone.
        lower: of each task, whether less is better.
    """

    arm: str
    seed: int
    tasks: list[str]
    metrics: list[str]
    scores: list[list[float]]
    alone: list[float]
    lower: list[bool] = field(default_factory=list)

    @property
    def forgetting(self) -> float:
        """Mean fall of the earlier tasks from their best score before the end to the end (Chaudhry et al. 2018)."""
        end = len(self.scores) - 1
        falls = [max(self._good(i, j) for i in range(j, end)) - self._good(end, j) for j in range(end)]
        return statistics.mean(falls)

    @property
    def backward(self) -> float:
        """Mean change of a task's score from when it was learnt to the end (Lopez-Paz and Ranzato 2017)."""
        end = len(self.scores) - 1
        return statistics.mean(self._good(end, j) - self._good(j, j) for j in range(end))

    @property
    def forward(self) -> float:
        """Mean change, over all tasks but the first, of what is learnt by having learnt others before.

        A new task has a new head, so that its score before training, by which the papers measure it, says nothing.
        """
        signs = [self._sign(i) for i in range(len(self.scores))]
        return statistics.mean(signs[i] * (self.scores[i][i] - self.alone[i]) for i in range(1, len(self.scores)))

    def _good(self, i: int, j: int) -> float:
        """The score of task ``j`` after task ``i``, so that more is better."""
        return self._sign(j) * self.scores[i][j]

    def _sign(self, j: int) -> float:
        return -1.0 if self.lower and self.lower[j] else 1.0


def markdown(courses: Sequence[Course]) -> str:
    """A row for each arm: each task's score when learnt and at the end, forgetting and transfer, over seeds."""
    arms: dict[str, list[Course]] = defaultdict(list)
    for course in courses:
        arms[course.arm].append(course)
    tasks, metrics = courses[0].tasks, courses[0].metrics
    told = [f"{task} ({metric}), learnt → at the end" for task, metric in zip(tasks, metrics, strict=True)]
    head = ["way", *told, "forgetting", "backward", "forward", "seeds"]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for arm, group in arms.items():
        by_task = [f"{_after(group, j, j):.3f} → {_after(group, len(tasks) - 1, j):.3f}" for j in range(len(tasks))]
        sums = [
            statistics.mean(getattr(course, name) for course in group) for name in ("forgetting", "backward", "forward")
        ]
        cells = [arm, *by_task, *(f"{value:.3f}" for value in sums), str(len(group))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _after(group: Sequence[Course], i: int, j: int) -> float:
    """The mean score of task ``j`` after task ``i``."""
    return statistics.mean(course.scores[i][j] for course in group)


def plot_courses(path: Path, courses: Sequence[Course]) -> None:
    """A field for each task: its score after each task from its own on, a line for each arm (mean over seeds)."""
    tasks, arms = courses[0].tasks, list(dict.fromkeys(course.arm for course in courses))
    with rc_context(style()):
        figure = Figure(figsize=(2.6 * len(tasks), 3.2), layout="constrained")
        for j, axes in enumerate(figure.subplots(1, len(tasks), squeeze=False)[0]):
            for color, arm in zip(LINES * 4, arms, strict=False):
                group = [course for course in courses if course.arm == arm]
                after = range(j, len(tasks))
                means = [_after(group, i, j) for i in after]
                axes.plot(list(after), means, marker="o", color=color, label=arm)
            axes.set_xticks(range(len(tasks)), tasks, rotation=20)
            axes.set_xlim(-0.3, len(tasks) - 0.7)
            axes.set_title(f"{tasks[j]} ({courses[0].metrics[j]})", fontsize=9)
            if j == 0:
                axes.set_ylabel("score after each task")
                axes.legend(frameon=False, fontsize=8)
        save_figure(figure, path, dpi=150)
