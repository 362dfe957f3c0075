"""What a probe is: a question that a network is asked before, during and after fine-tuning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from rag_lightning.data.options import DataConfig

Scores = dict[str, float]
VECTORS = "vectors"  # the head of a probe that reads hidden states only


class ProbeOptions(BaseModel):
    """What the options of every probe are made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int | None = Field(None, ge=1, description="texts (pairs, examples) at most; null: all")
    during: int = Field(100, ge=1, description="texts at most in a measurement during training")
    seed: int = Field(0, ge=0, description="of what is drawn; the run's own seed changes nothing here")


@dataclass(frozen=True)
class Setting:
    """What a probe may ask of the run that it is part of.

    Attributes:
        folder: of the pretrained model; ``architecture`` is its configuration.
        tokenizer: the run's, for running text, padding on the right.
        window: the longest input in tokens.
        network: the pretrained network as transformers has it, in float32 and eval mode, with the head that was asked
            for. Its weights are those of another network when a measurement is made: what is needed of the
            pretrained ones is taken from it in ``prepare``.
        general_text: running text of no task.
        trained_on: fingerprint of the content of the labelled data that the run learns from.
        task: that it learns.
        device: on which the network is.
    """

    folder: Path
    architecture: PretrainedConfig
    tokenizer: PreTrainedTokenizerFast
    window: int
    network: PreTrainedModel
    general_text: DataConfig
    trained_on: str
    task: str
    device: torch.device


@dataclass(frozen=True)
class Prepared:
    """A probe with its texts at hand.

    Attributes:
        measure: the network's scores by the names of the metrics; it changes neither the network nor any random state.
        content: fingerprint of the texts, so that the pretrained model is asked them only once on a machine.
        notes: what a reader should know of them.
        floors: ``metric`` -> the value that luck may reach: below it before training, nothing is there to be kept.
    """

    measure: Callable[[PreTrainedModel], Scores]
    content: str
    notes: tuple[str, ...] = ()
    floors: Mapping[str, float] = field(default_factory=dict)


def _nothing_to_refuse(architecture: PretrainedConfig, folder: Path, options: Any) -> None:
    pass


def _reads_states(architecture: PretrainedConfig) -> str:
    return VECTORS


@dataclass(frozen=True)
class Probe:
    """A probe, declared once: ``probe/<name>.py`` with a ``PROBE``, and ``conf/probe/<name>.yaml``.

    Attributes:
        name: as in ``probe=…``.
        options: the model of its YAML.
        prepare: ``(setting, options)`` -> the probe with its texts at hand; raises a UserError for a mistake in them.
        check: ``(architecture, folder of the model, options)``: raises a UserError where this backbone cannot be
            measured so; called before any weights are loaded.
        head: ``architecture`` -> the head that the network needs, a kind of ``model/interface.py``.
        of_general_text: it reads ``general_text``, on whose content its scores then depend.
        cheap: quick enough to be measured during training.
        of_knowledge: its metrics count in the headline, the smallest share that was kept.
        higher_is_better: ``metric`` -> whether more of it is better.
    """

    name: str
    options: type[ProbeOptions]
    prepare: Callable[[Setting, Any], Prepared]
    check: Callable[[PretrainedConfig, Path, Any], None] = _nothing_to_refuse
    head: Callable[[PretrainedConfig], str] = _reads_states
    of_general_text: bool = False
    cheap: bool = False
    of_knowledge: bool = True
    higher_is_better: Callable[[str], bool] = lambda metric: True
