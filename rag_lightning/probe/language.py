"""How well words of general text are guessed, where the backbone has a language-model head.

Left-to-right models by perplexity. Masked ones by pseudo-perplexity (Salazar et al. 2020): each of the chosen tokens is
masked by itself and guessed from all others; a seed chooses the tokens. The head is that of the network that is
measured, if it has one; else the pretrained one, and where that shares its weights with the embeddings, it has theirs.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from rag_lightning.errors import UserError
from rag_lightning.general_text.passages import general_passages
from rag_lightning.model.head_weights import missing_head_weights
from rag_lightning.model.interface import is_causal, is_seq2seq, supports
from rag_lightning.model.selected_logits import logits_at
from rag_lightning.probe.examples import content_of
from rag_lightning.probe.probe import Prepared, Probe, ProbeOptions, Scores, Setting
from rag_lightning.probe.states import Batch, batches, encode_texts


class LanguageOptions(ProbeOptions):
    """How much general text is read."""

    limit: int | None = Field(200, ge=1, description="passages of general text; null: all")
    words: int = Field(40, ge=4, description="words of a passage at most")
    share: float = Field(0.15, gt=0, le=1, description="of the tokens that are masked, each by itself")


def check(architecture: PretrainedConfig, folder: Path, options: LanguageOptions) -> None:
    """Refuse a backbone without a head that guesses words."""
    model_type, head = str(architecture.model_type), head_of(architecture)
    if is_seq2seq(model_type):
        raise UserError(
            f"a model of type '{model_type}' learnt to fill in text that was cut out, of which there is no perplexity",
            where="probe.language", remedy="Leave this probe out; drift, similarity and linear read its encoder.",
        )  # fmt: skip
    missing = missing_head_weights(folder, architecture, head) if supports(model_type, head) else ["head"]
    if missing:
        raise UserError(
            f"the checkpoint has no head that guesses words (no {missing[0]})",
            where="probe.language",
            remedy="Leave this probe out, or choose a backbone with its language-model head.",
        )


def head_of(architecture: PretrainedConfig) -> str:
    """The head with which this kind of backbone guesses words."""
    return "next_tokens" if is_causal(str(architecture.model_type)) else "masked_tokens"


def prepare(setting: Setting, options: LanguageOptions) -> Prepared:
    """The general text as inputs, each with the places that are guessed."""
    texts = general_passages(
        setting.general_text, "validation", words=options.words, limit=options.limit, seed=options.seed
    )
    tokenizer, padding = setting.tokenizer, int(setting.tokenizer.pad_token_id or 0)
    inputs = encode_texts(tokenizer, texts, setting.window)
    content = content_of(texts)
    if head_of(setting.architecture) == "next_tokens":

        def perplexity(network: PreTrainedModel) -> Scores:
            return {
                "perplexity": _exp_mean([next_token_losses(network, b) for b in _batches(inputs, padding, setting)])
            }

        return Prepared(perplexity, content)
    if tokenizer.mask_token_id is None:
        raise UserError("the tokenizer of this backbone has no mask", where="probe.language", remedy="Leave it out.")
    masked, answers = one_by_one(
        inputs, int(tokenizer.mask_token_id), set(tokenizer.all_special_ids), options.share, options.seed
    )

    def pseudo_perplexity(network: PreTrainedModel) -> Scores:
        losses = []
        for batch in _batches(masked, padding, setting):
            asked = torch.tensor([answers[place] for place in batch.places], device=batch.ids.device)
            losses.append(_masked_losses(network, batch, asked, int(tokenizer.mask_token_id)))
        return {"pseudo_perplexity": _exp_mean(losses)}

    return Prepared(pseudo_perplexity, content)


def one_by_one(
    inputs: Sequence[Sequence[int]], mask: int, special: set[int], share: float, seed: int
) -> tuple[list[list[int]], list[int]]:
    """For each chosen token an input of its own in which it is masked, and the token that was there."""
    places = [(row, at) for row, ids in enumerate(inputs) for at, token in enumerate(ids) if token not in special]
    order = np.random.default_rng(seed).permutation(len(places))
    chosen = [places[number] for number in sorted(order[: max(1, math.ceil(share * len(places)))])]
    masked = [[mask if at == here else token for here, token in enumerate(inputs[row])] for row, at in chosen]
    return masked, [inputs[row][at] for row, at in chosen]


@torch.no_grad()
def next_token_losses(network: PreTrainedModel, batch: Batch, begins: Tensor | None = None) -> Tensor:
    """The negative log-likelihood of each token behind the first one, row by row, (tokens,), on the CPU.

    Args:
        begins: (rows,), the first token of each row that counts; None: the second of the row.
    """
    places = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    first = torch.ones(len(batch.ids), device=batch.ids.device) if begins is None else begins
    asked = (batch.mask == 1) & (places >= first.unsqueeze(1)) & (places > 0)
    selected = asked.roll(-1, dims=1)  # the scores of a token stand at the one before it
    logits = logits_at(network, selected, input_ids=batch.ids, attention_mask=batch.mask)
    return F.cross_entropy(logits.float(), batch.ids[asked], reduction="none").cpu()


@torch.no_grad()
def _masked_losses(network: PreTrainedModel, batch: Batch, asked: Tensor, mask: int) -> Tensor:
    logits = logits_at(network, batch.ids == mask, input_ids=batch.ids, attention_mask=batch.mask)
    return F.cross_entropy(logits.float(), asked, reduction="none").cpu()


def _batches(inputs: Sequence[Sequence[int]], padding: int, setting: Setting) -> list[Batch]:
    return list(batches(inputs, padding, setting.device))


def _exp_mean(losses: Sequence[Tensor]) -> float:
    return float(torch.cat(list(losses)).double().mean().exp())


PROBE = Probe(
    name="language", options=LanguageOptions, prepare=prepare, check=check, head=head_of, of_general_text=True,
    higher_is_better=lambda metric: False,
)  # fmt: skip
