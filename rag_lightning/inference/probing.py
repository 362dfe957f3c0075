"""Measure after the fact what a finished run has kept of what its backbone knew."""

from typing import Any

import torch
from omegaconf import DictConfig

from rag_lightning.config.schema import ProbeRunConfig, TrainConfig
from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import say
from rag_lightning.data.load import content_fingerprint
from rag_lightning.data.options import DataConfig
from rag_lightning.data.unlabelled import find_unlabelled
from rag_lightning.errors import UserError
from rag_lightning.inference.saved import load_run
from rag_lightning.model.resolve import ResolvedModel, read_config, resolve
from rag_lightning.probe.examples import labelled_content
from rag_lightning.probe.measure import Subject, measure, measure_pretrained, set_up, what_was_kept
from rag_lightning.probe.registry import check_probes, read_probes
from rag_lightning.report.knowledge import Knowledge
from rag_lightning.report.terminal import print_knowledge
from rag_lightning.training.build import accelerator_of, quiet
from rag_lightning.training.folder import RunFolder
from rag_lightning.training.probe_files import write_knowledge


def probe_run(raw: DictConfig) -> Knowledge:
    """Measure the exported weights of a run; the results go beside those of probes that it was asked before.

    Returns:
        All that is known of the run now.

    Raises:
        UserError: if the folder is none of a finished run, or its backbone is not the one that it was trained from.
    """
    config = parse(ProbeRunConfig, to_plain(raw))
    probes = read_probes(config.probe)
    if not probes:
        raise UserError("no probe is chosen", where="probe", remedy="Set probe=knowledge, or [drift,similarity].")
    quiet()
    run = load_run(config.run)
    _, identity = run.folder.read_config()
    update = {} if config.general_text is None else {"general_text": config.general_text}
    settings: TrainConfig = run.config.model_copy(update=update)
    original = resolve(settings.model)
    _check_same(original, identity, run.folder)
    shape = read_config(settings.model)
    probes = check_probes(probes, shape, original.folder, random_init=settings.model.random_init)
    device = accelerator_of({"accelerator": "auto"}) if config.device == "auto" else config.device
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("no GPU can be used on this machine", where="device", remedy="Set device=cpu.")
    say(f"measuring {run.folder.path} against {original.origin}")
    subject = Subject(settings, original, _learnt_from(settings.data, identity), device)
    bench = set_up(subject, probes)
    before = measure_pretrained(bench)
    knowledge = what_was_kept(bench, before, measure(bench, run.network))
    whole = write_knowledge(run.folder, knowledge)
    print_knowledge(whole)
    return whole


def _learnt_from(data: DataConfig, identity: dict[str, Any]) -> str:
    """``labelled_content`` of the data of a run, which its folder keeps where there were no further texts."""
    recorded = str(identity.get("data.content", ""))
    try:
        if find_unlabelled(data) is None:
            return recorded
        if content_fingerprint(data) == recorded:
            return labelled_content(data)
    except UserError:  # gone, or elsewhere
        pass
    say("The run's data are not where they were: a probe cannot tell whether it asks what the run learnt from.")
    return recorded


def _check_same(original: ResolvedModel, identity: dict[str, Any], folder: RunFolder) -> None:
    trained_from = identity.get("model.content")
    if trained_from is not None and trained_from != original.fingerprint:
        raise UserError(
            "the backbone that config.yaml names is not the one that this run was trained from",
            where=str(folder.path),
            remedy="Put the original weights back where model.path or model.name points.",
        )
