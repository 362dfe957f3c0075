"""Go on with what the model learnt in pretraining, on general text, beside the task: rehearsal.

Self-supervised and transfer learning together, after Robins (1995, "Catastrophic Forgetting, Rehearsal and
Pseudorehearsal"): next words where the network writes, masked words where the checkpoint brings a head that guesses
them (Devlin et al. 2019), and for sentence encoders the contrast of a text's two readings (Gao et al. 2021, "SimCSE").
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rag_lightning.errors import UserError
from rag_lightning.model.head_weights import missing_head_weights
from rag_lightning.model.interface import is_causal, supports
from rag_lightning.model.load import load_network
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.pooling import masked_mean
from rag_lightning.retention.method import Batch, Hooks, Method, Step, Weighted
from rag_lightning.retention.setting import (
    UNLABELLED,
    WRITING_HEADS,
    Setting,
    Situation,
    last_hidden,
    needs_a_learning_backbone,
)

_TEMPERATURE = 0.05  # of the contrast, as in the paper


class RehearsalOptions(Weighted):
    weight: float = Field(0.1, ge=0, description="of the self-supervised loss")
    texts_per_step: int = Field(8, ge=2, description="general texts in each step")
    objective: Literal["auto", "next_words", "masked_words", "contrast"] = Field(
        "auto", description="auto: what the checkpoint was pretrained with, as far as its head tells"
    )
    mask_probability: float = Field(0.15, gt=0, lt=1, description="with masked_words: of a token to be masked")

    def settled(self, situation: Situation) -> str:
        """What ``auto`` means for a backbone."""
        if self.objective != "auto":
            return self.objective
        if situation.head in WRITING_HEADS:
            return "next_words"
        return "masked_words" if _guesses_words(situation) else "contrast"


def _guesses_words(situation: Situation) -> bool:
    architecture = situation.architecture
    known = supports(situation.model_type, "masked_tokens") and not architecture.is_encoder_decoder
    return known and not missing_head_weights(situation.folder, architecture)


def next_words_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy (nats a token) of each next token, padding left out."""
    targets = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, UNLABELLED)[:, 1:]
    return F.cross_entropy(logits[:, :-1].float().flatten(0, 1), targets.flatten(), ignore_index=UNLABELLED)


def contrast_loss(one: Tensor, other: Tensor) -> Tensor:
    """Cross-entropy (nats a text) of finding each text's second vector (texts, width) among those of all texts."""
    cosines = F.normalize(one, dim=-1) @ F.normalize(other, dim=-1).T
    return F.cross_entropy(cosines / _TEMPERATURE, torch.arange(len(one), device=one.device))


class Rehearsal(Hooks):
    def __init__(self, options: RehearsalOptions, setting: Setting) -> None:
        self.options, self.setting = options, setting
        self.batches = setting.batches(options.texts_per_step)
        objective = options.settled(setting.situation)
        losses: dict[str, Callable[[Batch], Tensor]] = {
            "next_words": self._next_words, "masked_words": self._masked_words, "contrast": self._contrast
        }  # fmt: skip
        self._loss = losses[objective]
        if objective == "masked_words" and options.weight:
            if setting.mask_id is None:
                raise UserError(
                    "the tokenizer of this backbone has no mask",
                    where="retention.rehearsal.objective",
                    remedy="Choose contrast, or retention=distill.",
                )
            self.guesser = guessing_network(setting)

    def loss(self, network: Any, outputs: Any, batch: Batch, step: Step) -> Tensor | None:
        if not (weight := self.options.weight_at(step.progress)):
            return None
        _, texts = self.batches.at(step.batch, step.rank, step.world)
        return weight * self._loss(texts)

    def held(self) -> list[Tensor]:
        own = {id(each) for each in self.setting.network.parameters()}
        guesser = getattr(self, "guesser", None)
        return [each for each in guesser.parameters() if id(each) not in own] if guesser is not None else []

    def _next_words(self, texts: Batch) -> Tensor:
        return next_words_loss(self.setting.network(**texts).logits, texts)

    def _masked_words(self, texts: Batch) -> Tensor:
        ids = texts["input_ids"]
        words = ~torch.isin(ids, torch.tensor(self.setting.special_ids, device=ids.device))
        chosen = (torch.rand(ids.shape, device=ids.device) < self.options.mask_probability) & words
        assert self.setting.mask_id is not None, "checked when the head was loaded"
        shown = ids.masked_fill(chosen, self.setting.mask_id)
        logits = self.guesser(input_ids=shown, attention_mask=texts["attention_mask"]).logits
        return F.cross_entropy(logits[chosen].float(), ids[chosen]) if chosen.any() else logits.sum() * 0.0

    def _contrast(self, texts: Batch) -> Tensor:
        one, other = (masked_mean(last_hidden(self.setting.backbone, texts), texts["attention_mask"]) for _ in "12")
        return contrast_loss(one, other)


def guessing_network(setting: Setting) -> nn.Module:
    """The pretrained head that guesses masked words, frozen, on the backbone that learns."""
    guesser: Any = load_network(
        setting.situation.folder, "masked_tokens", (), ModelConfig(name="original"), setting.seed
    )
    guesser.requires_grad_(False)
    setattr(guesser, guesser.base_model_prefix, setting.backbone)
    device = next(setting.network.parameters()).device
    for name, module in guesser.named_children():
        if name != guesser.base_model_prefix:
            module.to(device)
    return guesser


def check(options: RehearsalOptions, situation: Situation) -> None:
    """Refuse an objective for which the backbone has no head."""
    needs_a_learning_backbone(situation)
    objective, writes = options.settled(situation), situation.head in WRITING_HEADS
    reads_on = is_causal(situation.model_type)
    able = {
        "next_words": writes and reads_on,
        "masked_words": not writes and _guesses_words(situation),
        # A text has two readings only where dropout makes them differ, which decoders do without.
        "contrast": not writes and not reads_on,
    }
    if not able[objective]:
        raise UserError(
            f"this network cannot go on with pretraining by {objective.replace('_', ' ')}",
            where="retention.rehearsal.objective",
            remedy="Choose another objective, or another method: retention=distill.",
        )


METHOD = Method(RehearsalOptions, Rehearsal, check, reads_text=True)
