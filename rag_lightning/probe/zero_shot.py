"""Texts sorted by what their labels mean, without any training: the nearest description wins.

Text and description are compared by the cosine of the means of their last hidden states (as Schopf et al. 2022 do with
sentence encoders). A decoder is asked by the probe ``prompts`` instead.
"""

from pathlib import Path

import numpy as np
import torch.nn.functional as F
from pydantic import Field
from transformers import PretrainedConfig, PreTrainedModel

from rag_lightning.data.options import DataConfig
from rag_lightning.errors import UserError
from rag_lightning.model.interface import is_causal
from rag_lightning.probe.examples import SplitName, above_chance, content_of, examples, labelled_content
from rag_lightning.probe.linear import TEXTS
from rag_lightning.probe.probe import Prepared, Probe, ProbeOptions, Scores, Setting
from rag_lightning.probe.states import encode_texts, text_vectors


class ZeroShotOptions(ProbeOptions):
    """Texts with labels, and what the labels mean."""

    data: DataConfig = Field(description="texts with one label each, as for task=classification")
    split: SplitName = Field("auto", description="train, validation, test or all; auto: a large test split, else all")
    descriptions: dict[str, str] = Field(
        default_factory=dict, description="label -> what it means; a label that is not here is described by its name"
    )


def check(architecture: PretrainedConfig, folder: Path, options: ZeroShotOptions) -> None:
    """Refuse a decoder, whose states tell what comes next rather than what a text is about."""
    if is_causal(str(architecture.model_type)):
        raise UserError(
            f"the states of a model of type '{architecture.model_type}' tell what comes next, not what a text is about",
            where="probe.zero_shot", remedy="Choose probe=prompts for it.",
        )  # fmt: skip


def prepare(setting: Setting, options: ZeroShotOptions) -> Prepared:
    """Texts and descriptions, encoded; nothing where the run learns from these very data."""
    if labelled_content(options.data) == setting.trained_on:
        note = f"Zero-shot: {options.data.name} is what the run learns from, and is left out."
        return Prepared(lambda network: {}, content_of(), (note,))
    chosen = examples(options.data, TEXTS, options, options.split, setting.trained_on, where="probe.zero_shot.data")
    texts, gold = ([str(record[field]) for record in chosen] for field in ("text", "label"))
    labels = sorted(set(gold))
    told = [options.descriptions.get(label, label.replace("_", " ").replace("-", " ")) for label in labels]
    inputs = encode_texts(setting.tokenizer, [*told, *texts], setting.window)
    padding = int(setting.tokenizer.pad_token_id or 0)

    def measure(network: PreTrainedModel) -> Scores:
        vectors = F.normalize(text_vectors(network, inputs, padding), dim=-1)
        best = (vectors[len(labels) :] @ vectors[: len(labels)].T).argmax(-1).tolist()
        return {"accuracy": float(np.mean([labels[at] == label for at, label in zip(best, gold, strict=True)]))}

    floors = {"accuracy": above_chance(1 / len(labels), len(texts))}
    return Prepared(measure, content_of(texts, gold, told), floors=floors)


PROBE = Probe(name="zero_shot", options=ZeroShotOptions, prepare=prepare, check=check)
