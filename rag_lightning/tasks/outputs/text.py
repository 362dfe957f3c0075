"""Output kind: a text, written by a causal network behind its prompt or by an encoder-decoder about its source."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError
from rag_lightning.generation.generate import generate
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.model.interface import is_seq2seq
from rag_lightning.model.selected_logits import logits_at
from rag_lightning.tasks.outputs.prompts import Prompt, encode_prompts
from rag_lightning.tasks.task import Batch, Columns, EncodingContext, OutputKind

IGNORED = -100  # no loss at the prompt
WRITTEN_TOKENS = 8_192  # prompts, texts and beams in one batch of writing: bounds the cache of keys and values
_NAMES = ("input_ids", "labels", "prompt", "cut", "target_cut", "example", "n_labels")


class Target(NamedTuple):
    """What is to be written, as ids with the end of text, and how many of its tokens found no room."""

    ids: list[int]
    cut: int


def text_output(model_type: str) -> OutputKind:
    """The kind for a model type: encoder-decoders read the prompt apart from the text, others in one row with it."""
    return TO_TARGET if is_seq2seq(model_type) else CONTINUED


def first_target(record: Record) -> str | None:
    """The text to be learnt: of several references the first."""
    target = record.get("target")
    if target is None or isinstance(target, str):
        return target
    return str(target[0])


def encode_continued(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per example: the prompt and, behind it, the text to be written.

    Columns ``input_ids``, ``labels`` (of the text alone), ``prompt`` (its tokens), ``cut`` and ``target_cut`` (tokens
    of the input and of the text that found no room; where the text is cut, its end is not learnt).

    Raises:
        UserError: the window has no room for a prompt beside ``generation.max_new_tokens``.
    """
    columns: Columns = {name: [] for name in _NAMES}
    prompts = encode_prompts(records, context, continued=True)
    for number, (record, prompt) in enumerate(zip(records, prompts, strict=True), start=first):
        target = _target(record, context, room=context.words.max_length - len(prompt.ids), opened=False)
        columns["input_ids"].append([*prompt.ids, *target.ids])
        columns["labels"].append([IGNORED] * len(prompt.ids) + target.ids)
        _add(columns, number, prompt, target)
    return columns


def encode_to_target(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """One row per example: the prompt as ``input_ids``, the text to be written as ``labels``.

    Further columns as of :func:`encode_continued`, and ``cost``: the tokens of both.
    """
    columns: Columns = {name: [] for name in (*_NAMES, "cost")}
    prompts = encode_prompts(records, context, continued=False)
    for number, (record, prompt) in enumerate(zip(records, prompts, strict=True), start=first):
        target = _target(record, context, room=context.words.max_length, opened=True)
        columns["input_ids"].append(prompt.ids)
        columns["labels"].append(target.ids)
        columns["cost"].append(len(prompt.ids) + len(target.ids))
        _add(columns, number, prompt, target)
    return columns


def _add(columns: Columns, number: int, prompt: Prompt, target: Target) -> None:
    columns["prompt"].append(len(prompt.ids))
    columns["cut"].append(prompt.cut)
    columns["target_cut"].append(target.cut)
    columns["example"].append(number)
    columns["n_labels"].append(len(target.ids))


def _target(record: Record, context: EncodingContext, room: int, *, opened: bool) -> Target:
    """The text with the token that ends it; ``opened``: and with those that open a text of this backbone."""
    text, words = first_target(record), context.words
    if text is None:
        return Target([], 0)
    end = words.tokenizer.eos_token_id
    if end is None:
        raise UserError(
            "the tokenizer of this backbone has no token for the end of a text, so that it could never stop writing",
            where="model",
            remedy='Name one in its tokenizer_config.json: "eos_token": "</s>".',
        )
    ids = words.ids(text.strip())  # type: ignore[attr-defined]
    ids = [*words.prefix, *ids, *(words.suffix or [end])] if opened else [*ids, end]
    return Target(ids[:room], max(0, len(ids) - room))


def losses_continued(network: PreTrainedModel, batch: Batch) -> Tensor:
    """The loss of each token of the texts, in reading order, (n,); of those only are scores of words computed."""
    targets = batch["labels"][:, 1:]
    wanted = F.pad(targets != IGNORED, (0, 1))  # a place is read off the one before it
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    return _losses(network, wanted, targets[targets != IGNORED], inputs)


def losses_to_target(network: PreTrainedModel, batch: Batch) -> Tensor:
    """As :func:`losses_continued`, for an encoder-decoder."""
    labels = batch["labels"]
    wanted = labels != IGNORED
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    if labels.shape[1]:
        inputs["decoder_input_ids"] = network.prepare_decoder_input_ids_from_labels(labels=labels)
    return _losses(network, wanted, labels[wanted], inputs)


def _losses(network: PreTrainedModel, wanted: Tensor, targets: Tensor, inputs: Batch) -> Tensor:
    if not len(targets) and not torch.is_grad_enabled():
        return torch.zeros(0, device=wanted.device)  # nothing is asked of inputs without a text, as in prediction
    logits = logits_at(network, wanted, **inputs)
    return F.cross_entropy(logits.float(), targets, reduction="none")


def loss(outputs: Tensor, batch: Batch) -> Tensor:
    """Summed over the tokens of the texts."""
    return outputs.sum()


def decode_unequipped(outputs: Tensor, batch: Batch) -> dict[str, Any]:
    """What stands in for :func:`decode` until the kind is equipped with a network."""
    raise RuntimeError("this output kind writes only once it is equipped with its network")


def decode(
    outputs: Tensor,
    batch: Batch,
    *,
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    options: GenerationOptions,
    window: int,
) -> dict[str, Any]:
    """A text for every row, and how likely the network finds the row's own text.

    Args:
        outputs: the losses of the texts' tokens.
        batch: with ``prompt``, the tokens of a row before what is to be written.
        network, tokenizer: what writes.
        options: how.
        window: longest input in tokens.
    """
    lengths = batch["prompt"].tolist()
    prompts = [row[:length].tolist() for row, length in zip(batch["input_ids"], lengths, strict=True)]
    written = generate(
        network, tokenizer, prompts, options, tokens_per_batch=WRITTEN_TOKENS, overlong="cut_end", window=window
    )
    rows = (batch["labels"] != IGNORED).nonzero()[:, 0]
    likelihood = torch.zeros(len(lengths), device=outputs.device).index_add(0, rows, -outputs.float())
    return {
        "example": batch["example"].cpu().numpy(),
        "text": [each.text.strip() for each in written],
        "ended": [each.reason for each in written],
        "cut": batch["cut"].cpu().numpy(),
        "target_cut": batch["target_cut"].cpu().numpy(),
        "log_likelihood": likelihood.cpu().numpy(),
        "n_tokens": np.bincount(rows.cpu().numpy(), minlength=len(lengths)),
    }


def assemble(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Per record ``{"text", "ended", "cut", "target_cut", "log_likelihood", "n_tokens"}``.

    ``ended`` says what ended the text: eos, stop or length; the likelihood is the natural logarithm for the record's
    own (first) text, summed over its ``n_tokens`` tokens.

    Raises:
        RuntimeError: if an example has no text or several (a defect, never to be passed over).
    """
    answers: list[list[dict[str, Any]]] = [[] for _ in records]
    for part in decoded:
        columns = {name: values if isinstance(values, list) else values.tolist() for name, values in part.items()}
        for row, example in enumerate(columns.pop("example")):
            answers[example].append({name: values[row] for name, values in columns.items()})
    if wrong := sum(len(each) != 1 for each in answers):
        raise RuntimeError(f"{wrong} examples were not answered exactly once")
    return [each[0] for each in answers]


def equip(kind: OutputKind, network: nn.Module, context: EncodingContext) -> OutputKind:
    """The kind that writes with this network, as the context's options for generation say."""
    own = {"network": network, "tokenizer": context.words.tokenizer, "options": context.generation}
    return replace(kind, decode=partial(decode, **own, window=context.words.max_length))


CONTINUED = OutputKind(
    name="text", encode=encode_continued, padding={"labels": IGNORED}, loss=loss, decode=decode_unequipped,
    assemble=assemble, forward=losses_continued, equip=equip,
)  # fmt: skip
TO_TARGET = replace(CONTINUED, encode=encode_to_target, forward=losses_to_target)
