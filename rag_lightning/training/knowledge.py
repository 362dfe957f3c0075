"""What a run's probes say of the pretrained model, during training, and of the weights that were chosen."""

from typing import TYPE_CHECKING

import torch
from pytorch_lightning import Callback
from torch import nn

from rag_lightning.console import is_rank_zero, say
from rag_lightning.probe.during import DuringTraining
from rag_lightning.probe.measure import Subject, measure, measure_pretrained, set_up, what_was_kept
from rag_lightning.report.knowledge import Knowledge, compare

if TYPE_CHECKING:
    from rag_lightning.training.plan import Plan


def say_before(plan: "Plan") -> None:
    """Measure the pretrained model, so that a mistake in a probe's texts is told before the training.

    Nothing of it stays in memory: the scores are kept on disk (``measure_pretrained``).
    """
    if not plan.probes or not is_rank_zero():
        return
    for note in plan.probes.notes:
        say(f"  probes   {note}")
    bench = set_up(subject_of(plan), plan.probes)
    scores = measure_pretrained(bench)
    table = compare(scores, scores, lambda *_: True, lambda *_: True).table()
    shown = ", ".join(f"{probe} {metric} {value:,.3f}" for probe, metric, value, *_ in table.rows)
    if shown:
        say(f"  probes   before: {shown}")


def probing(plan: "Plan") -> list[Callback]:
    """The callback that measures during training, if the configuration asks for it."""
    probes = plan.probes
    return [DuringTraining(subject_of(plan), probes, probes.every)] if probes and probes.every is not None else []


def knowledge_after(plan: "Plan", network: nn.Module) -> Knowledge | None:
    """What was kept by a network whose weights are the chosen ones; None without probes."""
    if not plan.probes:
        return None
    bench = set_up(subject_of(plan), plan.probes)
    before = measure_pretrained(bench)
    return what_was_kept(bench, before, measure(bench, network))


def subject_of(plan: "Plan") -> Subject:
    """What is measured of a run."""
    wanted = str(plan.config.trainer.get("accelerator", "auto"))
    on_gpu = wanted in ("gpu", "cuda", "auto") and torch.cuda.is_available()
    return Subject(plan.config, plan.model, plan.content, "cuda" if on_gpu else "cpu")
