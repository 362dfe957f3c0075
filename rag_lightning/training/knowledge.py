"""What a run's probes say of the pretrained model, during training, and of the weights that were chosen."""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from pytorch_lightning import Callback
from torch import nn

from rag_lightning.console import is_rank_zero, say
from rag_lightning.data.unlabelled import find_unlabelled
from rag_lightning.probe.during import DuringTraining
from rag_lightning.probe.examples import labelled_content
from rag_lightning.probe.measure import Subject, measure, measure_pretrained, questions, set_up, what_was_kept
from rag_lightning.probe.registry import Probes
from rag_lightning.probe.specimen import Weights, weights_of
from rag_lightning.report.knowledge import Knowledge, compare
from rag_lightning.report.terminal import print_knowledge
from rag_lightning.training.folder import RunFolder
from rag_lightning.training.probe_files import questions_asked, write_knowledge
from rag_lightning.tuning.adapters import adapter_layers

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


def weights_beneath(plan: "Plan", network: nn.Module) -> Weights | None:
    """A copy of the weights beneath a network's adapters, before these are merged; None where nobody asks for it."""
    if not plan.probes or not adapter_layers(network):
        return None
    return weights_of(network, adapters=False).map(torch.clone)


def knowledge_after(plan: "Plan", network: nn.Module, beneath: Weights | None = None) -> Knowledge | None:
    """What was kept by a network whose weights are the chosen ones; None without probes.

    Args:
        beneath: of :func:`weights_beneath`, measured too.
    """
    if not plan.probes:
        return None
    bench = set_up(subject_of(plan), plan.probes)
    before = measure_pretrained(bench)
    after = measure(bench, network)
    return what_was_kept(bench, before, after, None if beneath is None else measure(bench, beneath))


def lacking_probes(plan: "Plan", folder: RunFolder) -> Probes:
    """The probes that a finished run was not asked, or was asked with other options or on another general text.

    Raises:
        UserError: if the general text is not there.
    """
    earlier = questions_asked(folder)
    wanted = questions(plan.probes, plan.config.general_text)
    lacking = [each for each in plan.probes.asked if wanted[each.probe.name] != earlier.get(each.probe.name)]
    return replace(plan.probes, asked=tuple(lacking))


def measure_finished(plan: "Plan", folder: RunFolder, probes: Probes) -> None:
    """Ask a finished run the probes that it was not asked in training; its weights are the same without them."""
    from rag_lightning.inference.saved import load_run

    say(f"{folder.path} is finished; its probes are measured")
    knowledge = knowledge_after(replace(plan, probes=probes), load_run(str(folder.path)).network)
    if knowledge is not None:
        print_knowledge(write_knowledge(folder, knowledge))


def subject_of(plan: "Plan") -> Subject:
    """What is measured of a run."""
    wanted = str(plan.config.trainer.get("accelerator", "auto"))
    on_gpu = wanted in ("gpu", "cuda", "auto") and torch.cuda.is_available()
    data = plan.config.data
    content = plan.content if find_unlabelled(data) is None else labelled_content(data)
    return Subject(plan.config, plan.model, content, "cuda" if on_gpu else "cpu")
