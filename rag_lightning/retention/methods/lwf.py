"""Stay close to what the pretrained model says of the task's own inputs.

Learning without Forgetting (Li and Hoiem 2017), on hidden states instead of an old task's answers. No general text is
needed: what the original says of a batch is asked of a frozen copy, in the same step. Directions are compared, since
they are what cosines of sentence vectors and linear heads read.
"""

import copy
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rag_lightning.errors import UserError
from rag_lightning.model.pooling import masked_mean
from rag_lightning.retention.method import Batch, Hooks, Method, Step, Weighted
from rag_lightning.retention.methods.distill import away
from rag_lightning.retention.setting import UNLABELLED, Setting, Situation, needs_a_learning_backbone, reader_of


class LwfOptions(Weighted):
    weight: float = Field(1.0, ge=0, description="of the mean distance (1 - cosine) from what the original says")
    of: Literal["auto", "texts", "tokens"] = Field(
        "auto",
        description="texts: mean hidden states; tokens: each hidden state; auto: tokens where the network writes on, "
        "else texts",
    )


class Call(NamedTuple):
    """What the backbone was asked in a step, and the hidden states (rows, tokens, width) that it answered."""

    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    states: Tensor


class Lwf(Hooks):
    def __init__(self, options: LwfOptions, setting: Setting) -> None:
        self.options = options
        self.writes_on = setting.situation.head == "text" and not setting.situation.architecture.is_encoder_decoder
        self.of = ("tokens" if self.writes_on else "texts") if options.of == "auto" else options.of
        self.calls: list[Call] = []
        self.listening = False
        self.original: nn.Module | None = None
        if options.weight:
            reader = reader_of(setting.backbone)
            self.original = copy.deepcopy(reader).eval().requires_grad_(False)
            reader.register_forward_hook(self._note, with_kwargs=True)

    def before_forward(self, step: Step) -> None:
        self.calls, self.listening = [], True

    def after_forward(self, step: Step) -> None:
        self.listening = False  # what other methods ask of the backbone is no input of the task

    def loss(self, network: Any, outputs: Any, batch: Batch, step: Step) -> Tensor | None:
        calls, self.calls = self.calls, []
        if not (weight := self.options.weight_at(step.progress)) or not calls:
            return None
        return weight * torch.stack([self._distance(call, batch) for call in calls]).mean()

    def held(self) -> list[Tensor]:
        return list(self.original.parameters()) if self.original is not None else []

    def _note(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
        if self.listening:
            self.calls.append(Call(arguments, keywords, output.last_hidden_state))

    def _distance(self, call: Call, batch: Batch) -> Tensor:
        assert self.original is not None, "made where the weight is not 0"
        with torch.no_grad():
            states = self.original(*call.arguments, **call.keywords).last_hidden_state
        shown = call.keywords.get("attention_mask", torch.ones_like(states[..., 0])).bool()
        if self.writes_on:
            shown = shown & read_only(batch["labels"])
        said, original = call.states.float(), states.float()
        if self.of == "tokens":
            return away(said[shown], original[shown]) if shown.any() else 0.0 * said.sum()
        return away(masked_mean(said, shown), masked_mean(original, shown))


def read_only(labels: Tensor) -> Tensor:
    """Where a row (rows, tokens) is the prompt: no token to be written, nor the one from which the first is guessed."""
    written = labels != UNLABELLED
    return ~(written | F.pad(written[:, 1:], (0, 1)))


def check(options: LwfOptions, situation: Situation) -> None:
    """Refuse pretraining, where the whole text is what is learnt."""
    needs_a_learning_backbone(situation)
    if situation.head in ("next_tokens", "masked_tokens"):
        raise UserError(
            "pretraining changes what the model says of the very texts that it learns",
            where="retention.lwf",
            remedy="Choose retention=distill or rehearsal, which hold on to general text.",
        )


METHOD = Method(LwfOptions, Lwf, check)
