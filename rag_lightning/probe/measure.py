"""The probes of a run, measured: of the pretrained model once on a machine, of other weights whenever asked for."""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from rag_lightning.config.fingerprint import fingerprint
from rag_lightning.config.paths import cache_dir
from rag_lightning.config.schema import TrainConfig
from rag_lightning.data.load import content_fingerprint
from rag_lightning.data.options import DataConfig
from rag_lightning.model.load import window_length
from rag_lightning.model.resolve import ResolvedModel, architecture
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.probe.examples import content_of
from rag_lightning.probe.probe import Prepared, ProbeOptions, Scores, Setting
from rag_lightning.probe.registry import Asked, Probes
from rag_lightning.probe.specimen import Weights, load_specimen, put, weights_of
from rag_lightning.report.files import write_json
from rag_lightning.report.knowledge import Knowledge, compare

Measured = dict[str, Scores]
ADAPTERS_OFF = "adapters_off"
_METHOD = 1  # raised when a probe's arithmetic changes, so that what was measured before is measured again


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        model: the pretrained model.
        content: ``labelled_content`` of the data that the run learns from.
        device: Lightning's name of where it is measured: cpu, cuda, mps.
    """

    config: TrainConfig
    model: ResolvedModel
    content: str
    device: str


@dataclass(frozen=True)
class Bench:
    """Probes at hand, and the network on which they are measured: a pretrained one until weights are put into it."""

    subject: Subject
    probes: Probes
    specimen: PreTrainedModel
    prepared: Mapping[str, Prepared]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of what was measured."""
        return (*self.probes.notes, *(note for each in self.prepared.values() for note in each.notes))


def set_up(subject: Subject, probes: Probes) -> Bench:
    """Load the pretrained network and the texts of all probes.

    Raises:
        UserError: for a mistake in the texts.
    """
    config, folder = subject.config.model, subject.model.folder
    shape = architecture(folder, trust_remote_code=config.trust_remote_code)
    device = torch.device(subject.device)
    tokenizer = load_tokenizer(folder, pre_split=False, trust_remote_code=config.trust_remote_code)
    specimen = load_specimen(folder, probes.head(shape), config, device)
    setting = Setting(
        folder, shape, tokenizer, window_length(shape, config.max_length), specimen,
        subject.config.general_text, subject.content, str(subject.config.task["name"]), device,
    )  # fmt: skip
    prepared = {each.probe.name: each.probe.prepare(setting, each.options) for each in probes.asked}
    return Bench(subject, probes, specimen, prepared)


def questions(probes: Probes, general_text: DataConfig) -> dict[str, dict[str, Any]]:
    """By probe its options and the content of the general text, if it reads that, as JSON.

    Raises:
        UserError: if the general text is not there.
    """
    asked: dict[str, dict[str, Any]] = {
        each.probe.name: {"options": each.options.model_dump(mode="json")} for each in probes.asked
    }
    if readers := [each.probe.name for each in probes.asked if each.probe.of_general_text]:
        settings = general_text.model_dump(mode="json", exclude={"name", "path", "unlabelled"})
        content = content_of(settings, content_fingerprint(general_text))
        for name in readers:
            asked[name]["general_text"] = content
    return asked


def quick_ones(probes: Probes) -> Probes:
    """Those that are measured during training, on a few texts each."""
    few = [Asked(each.probe, _of_few_texts(each.options)) for each in probes.asked if each.probe.cheap]
    return replace(probes, asked=tuple(few))


def _of_few_texts(options: ProbeOptions) -> ProbeOptions:
    limit = options.during if options.limit is None else min(options.during, options.limit)
    return options.model_copy(update={"limit": limit})


def measure_pretrained(bench: Bench) -> Measured:
    """The scores of the pretrained model, kept on disk: every run of a sweep begins with the same ones.

    To be called before :func:`measure`, which puts other weights into the bench's network.
    """
    found: Measured = {}
    for each in bench.probes.asked:
        name = each.probe.name
        file = _kept_in(bench, each)
        scores = _read(file)
        if scores is None:
            scores = bench.prepared[name].measure(bench.specimen)
            with suppress(OSError):  # without a cache it is measured again, which costs time only
                write_json(file, scores)
        found[name] = scores
    return found


def _kept_in(bench: Bench, each: Asked) -> Path:
    """Named by all that the scores depend on."""
    identity = {
        "method": _METHOD, "model": bench.subject.model.fingerprint, "probe": each.probe.name,
        "head": bench.probes.head(bench.specimen.config), "options": each.options.model_dump(mode="json"),
        "content": bench.prepared[each.probe.name].content, "window": bench.subject.config.model.max_length,
        "device": bench.subject.device,
    }  # fmt: skip
    return cache_dir() / "probe" / f"{fingerprint(identity)}.json"


def _read(file: Path) -> Scores | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): math.nan if value is None else float(value) for name, value in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def measure(bench: Bench, network: nn.Module | Weights) -> Measured:
    """The scores of the backbone in ``network``, which is only read, or of a backbone's weights."""
    put(weights_of(network) if isinstance(network, nn.Module) else network, bench.specimen)
    return {name: each.measure(bench.specimen) for name, each in bench.prepared.items()}


def what_was_kept(bench: Bench, before: Measured, after: Measured, off: Measured | None = None) -> Knowledge:
    """Both measurements side by side.

    Args:
        off: a third one, of the same network with its adapters switched off; it does not count in the headline.
    """
    asked = {each.probe.name: each.probe for each in bench.probes.asked}
    lucky = {
        (probe, metric): f"{probe} {metric} was no better than chance before training and does not count."
        for probe, each in bench.prepared.items()
        for metric, floor in each.floors.items()
        if before[probe].get(metric, math.inf) < floor
    }
    questioned = questions(bench.probes, bench.subject.config.general_text)
    for probe, each in bench.prepared.items():
        questioned[probe]["notes"] = [*each.notes, *(note for (name, _), note in lucky.items() if name == probe)]
    both = partial(
        compare,
        higher_is_better=lambda probe, metric: asked[probe].higher_is_better(metric),
        counts=lambda probe, metric: asked[probe].of_knowledge and (probe, metric) not in lucky,
        notes=(*bench.notes, *sorted(lucky.values())), asked=questioned,
    )  # fmt: skip
    knowledge = both(before, after)
    return knowledge if off is None else knowledge.beside(both(before, off), ADAPTERS_OFF)
