"""Stay close to what the pretrained model says of general text: distillation from the frozen original.

After "Learning without Forgetting" (Li and Hoiem 2017) and the distillation of hidden states (Sun et al. 2019, "Patient
Knowledge Distillation"). What the original says is computed once, before training, and kept on disk: no second model
is in memory. Of its predictions of words the likeliest are kept, and what is left to all others together.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from rag_lightning.errors import UserError
from rag_lightning.model.pooling import masked_mean
from rag_lightning.retention.method import Batch, Hooks, Method, Step, Weighted
from rag_lightning.retention.setting import (
    WRITING_HEADS,
    Setting,
    Situation,
    gathered,
    in_eval,
    last_hidden,
    needs_a_learning_backbone,
)


class DistillOptions(Weighted):
    weight: float = Field(10.0, ge=0, description="of the mean distance from what the pretrained model says")
    texts_per_step: int = Field(12, ge=1, description="general texts in each step")
    of: Literal["auto", "texts", "tokens", "words"] = Field(
        "auto",
        description="texts: mean hidden states; tokens: each hidden state; words: predicted words; auto: words where "
        "the network writes, else texts",
    )
    likeliest: int = Field(64, ge=1, description="with words: predictions kept of each place")

    def kind(self, head: str) -> str:
        """What is compared under a head of this kind."""
        return ("words" if head in WRITING_HEADS else "texts") if self.of == "auto" else self.of


def away(said: Tensor, original: Tensor) -> Tensor:
    """1 - cosine of each pair of vectors (…, width), their mean: 0 where the directions are equal."""
    return (1.0 - F.cosine_similarity(said, original, dim=-1)).mean()


def divergence(logits: Tensor, words: Tensor, shares: Tensor) -> Tensor:
    """KL divergence (nats, mean over places) of what the original predicted from ``logits`` (places, vocabulary).

    Args:
        words: (places, k), the original's likeliest words; ``shares``: their log-probabilities. All other words count
            as one.
    """
    said = F.log_softmax(logits.float(), dim=-1).gather(-1, words)
    terms = shares.exp() * (shares - said)
    rest, said_rest = _log_rest(shares), _log_rest(said)
    return (terms.sum(-1) + rest.exp() * (rest - said_rest)).mean()


def _log_rest(shares: Tensor) -> Tensor:
    """The logarithm of what log-probabilities (…, k) leave to others."""
    return torch.log((1.0 - shares.exp().sum(-1)).clamp_min(1e-6))


class Distill(Hooks):
    def __init__(self, options: DistillOptions, setting: Setting) -> None:
        self.options, self.setting = options, setting
        self.kind = options.kind(setting.situation.head)
        self.batches = setting.batches(options.texts_per_step)
        known = {"of": self.kind, "texts": len(self.batches), "likeliest": options.likeliest}
        self.original = setting.remembered("distill", known, self._original) if options.weight else {}

    def loss(self, network: object, outputs: object, batch: Batch, step: Step) -> Tensor | None:
        if not (weight := self.options.weight_at(step.progress)):
            return None
        places, texts = self.batches.at(step.batch, step.rank, step.world)
        back = in_eval(self.setting.network)  # the original was asked without dropout too
        distance = self._distance(places, texts)
        back()
        return weight * distance

    def held(self) -> list[Tensor]:
        return list(self.original.values())

    def _distance(self, places: Tensor, texts: Batch) -> Tensor:
        if self.kind == "texts":
            return away(self._means(texts), self.original["means"][places].to(texts["input_ids"].device))
        shown = texts["attention_mask"].bool()
        if self.kind == "tokens":
            original = self._of_tokens("states", places, shown)
            return away(last_hidden(self.setting.backbone, texts)[shown], original.float())
        logits = self.setting.network(**texts).logits[shown]
        return divergence(
            logits, self._of_tokens("words", places, shown).long(), self._of_tokens("shares", places, shown).float()
        )

    def _means(self, texts: Batch) -> Tensor:
        return masked_mean(last_hidden(self.setting.backbone, texts), texts["attention_mask"])

    def _of_tokens(self, name: str, places: Tensor, shown: Tensor) -> Tensor:
        rows = self.original[name][places][:, : shown.shape[1]].to(shown.device)
        return rows[shown]

    def _original(self) -> dict[str, Tensor]:
        """What the network says before training, by name: a row for each text."""
        if self.kind == "texts":
            return {"means": gathered(self.setting.network, self.batches, self._means)}
        longest = max(len(row) for row in self.batches.rows)
        if self.kind == "tokens":
            return {"states": self._padded(lambda texts: last_hidden(self.setting.backbone, texts).half(), longest)}
        words = self._padded(lambda texts: self._likeliest(texts).indices.int(), longest)
        return {"words": words, "shares": self._padded(lambda texts: self._likeliest(texts).values.half(), longest)}

    def _likeliest(self, texts: Batch) -> torch.return_types.topk:
        return F.log_softmax(self.setting.network(**texts).logits.float(), dim=-1).topk(self.options.likeliest)

    def _padded(self, compute: object, longest: int) -> Tensor:
        def rows(texts: Batch) -> Tensor:
            found: Tensor = compute(texts)  # type: ignore[operator]
            return F.pad(found, (0, 0, 0, longest - found.shape[1]))

        return gathered(self.setting.network, self.batches, rows)


def check(options: DistillOptions, situation: Situation) -> None:
    """Refuse words where the network writes none, and encoder-decoders' words."""
    needs_a_learning_backbone(situation)
    writes = situation.head in WRITING_HEADS and not situation.architecture.is_encoder_decoder
    if options.kind(situation.head) == "words" and not writes:
        raise UserError(
            "this network predicts no next words on general text",
            where="retention.distill.of",
            remedy="Choose retention.distill.of=texts (mean hidden states) or tokens.",
        )


METHOD = Method(DistillOptions, Distill, check, reads_text=True)
