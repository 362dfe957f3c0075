"""From the chosen methods to their hooks on a loaded network."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rag_lightning.data.options import DataConfig
from rag_lightning.errors import UserError
from rag_lightning.general_text.passages import general_passages
from rag_lightning.model.tokenizer import load_tokenizer
from rag_lightning.retention.registry import Chosen
from rag_lightning.retention.retention import Retention
from rag_lightning.retention.setting import WRITING_HEADS, Setting, Situation
from rag_lightning.retention.text_batches import TextBatches

SENTENCE_WORDS, PASSAGE_WORDS = 20, 40  # of a text at most: what an encoder embeds, what a decoder goes on with
MOST_SENTENCES, MOST_PASSAGES = 8_000, 500  # what a model says of words takes more time and room
_SHARDED = ("fsdp", "deepspeed")


@dataclass(frozen=True)
class GeneralRows:
    """General text as token ids, and what the tokenizer says of special ones."""

    rows: list[list[int]]
    pad_id: int
    mask_id: int | None
    special_ids: tuple[int, ...]

    @property
    def fingerprint(self) -> str:
        """Of the texts, their order and how they are encoded."""
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()


def check_retention(chosen: Chosen, situation: Situation, strategy: str) -> None:
    """Raise for what the chosen methods cannot go with, before a model is loaded.

    Raises:
        UserError: with what to choose instead.
    """
    if chosen and strategy.startswith(_SHARDED):
        raise UserError(
            "retention methods need each process to hold the whole network",
            where="trainer.strategy",
            remedy="Choose trainer=ddp, or retention=none.",
        )
    for method, options in chosen.values():
        method.check(options, situation)


def in_force(chosen: Chosen) -> bool:
    """Whether any method does anything."""
    return any(options.in_force for _, options in chosen.values())


def reads_text(chosen: Chosen) -> bool:
    """Whether general text takes part in training."""
    return any(method.reads_text and options.in_force for method, options in chosen.values())


def general_rows(config: DataConfig, situation: Situation, longest: int, *, trust_remote_code: bool) -> GeneralRows:
    """The general text's passages as the backbone's tokenizer encodes them.

    Args:
        longest: token ids of a row at most.

    Raises:
        UserError: for a mistake in the text's files.
    """
    tokenizer = load_tokenizer(situation.folder, pre_split=False, trust_remote_code=trust_remote_code)
    writes = situation.head in WRITING_HEADS
    words, most = (PASSAGE_WORDS, MOST_PASSAGES) if writes else (SENTENCE_WORDS, MOST_SENTENCES)
    texts = general_passages(config, "train", words=words, limit=most, seed=config.split.seed)
    rows = tokenizer(texts, truncation=True, max_length=longest, verbose=False)["input_ids"]
    mask_id = tokenizer.mask_token_id
    return GeneralRows(rows, int(tokenizer.pad_token_id), mask_id, tuple(tokenizer.all_special_ids))


def build_retention(
    chosen: Chosen,
    situation: Situation,
    network: Any,
    forward: Callable[[Any, dict[str, torch.Tensor]], Any],
    general: GeneralRows | None,
    *,
    seed: int,
    fingerprint: str,
    numerics: str,
) -> Retention:
    """The hooks of the chosen methods, with the network as pretraining left it.

    Args:
        forward: ``(network, batch)`` -> outputs, of the task.
        general: needed where a method reads text.
        fingerprint: of the pretrained model and the general text.
        numerics: how layers are computed.
    """
    device = next(network.parameters()).device
    text = general or GeneralRows([], 0, None, ())
    batches = partial(TextBatches, text.rows, pad_id=text.pad_id, seed=seed, device=device)
    setting = Setting(
        situation, network, batches, forward, f"{fingerprint} {text.fingerprint}", seed,
        text.mask_id, text.special_ids, numerics,
    )  # fmt: skip
    return Retention({name: method.build(options, setting) for name, (method, options) in chosen.items()})
