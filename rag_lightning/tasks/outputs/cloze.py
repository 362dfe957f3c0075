"""Output kind: a label for a text, read off the words that a masked-language head expects at the template's mask.

The network stays a plain ``AutoModelForMaskedLM``, so that freezing, fused layers and saving know it; only the
hidden state at the mask reaches its head, which otherwise would spend most of a step on the whole vocabulary for
every token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from rag_lightning.data.records import Record
from rag_lightning.encoding.loader import pad_columns
from rag_lightning.encoding.render import MASK
from rag_lightning.encoding.segments import special_id
from rag_lightning.errors import UserError
from rag_lightning.model.head_weights import missing_head_weights
from rag_lightning.model.interface import base_model_of, supports
from rag_lightning.tasks.task import Columns, EncodingContext, OutputKind
from rag_lightning.template.render import TemplateRender
from rag_lightning.template.verbalizer import CONTENT_FREE, Verbalizer, label_scores, make_verbalizer, words_of_labels

HEAD = "masked_tokens"  # the key of the network's head


def equip_cloze(
    network: PreTrainedModel,
    sequence_label: OutputKind,
    context: EncodingContext,
    saved: Mapping[str, list[Any]] | None = None,
) -> tuple[OutputKind, Verbalizer]:
    """Make a network with a masked-language head answer a task with a label per text; once, after loading.

    Args:
        network: of the head :data:`HEAD`; changed in place by :func:`read_at_mask`.
        sequence_label: the task's output kind.
        context: as for encoding; its render is a template with a mask.
        saved: the verbalizer that was saved with the model; None makes it anew, calibrated if the template says so.

    Returns:
        The output kind to train with, and the verbalizer to save with the model (``Verbalizer.to_json``).

    Raises:
        UserError: for a verbalizer that does not fit the labels or the vocabulary.
    """
    assert isinstance(context.render, TemplateRender)
    recipe, tokenizer = context.render.recipe, context.words.tokenizer
    read_at_mask(network, special_id(MASK, context.words), context.labels)
    if saved is not None:
        verbalizer = Verbalizer.from_json(saved)
    else:
        words = words_of_labels(context.labels, recipe.config.verbalizer, recipe.labels)
        verbalizer = make_verbalizer(words, context.words.encode, tokenizer.unk_token_id)
        if recipe.config.calibrate:
            verbalizer = calibrate(verbalizer, network, context, sequence_label)
    return cloze_output(verbalizer, sequence_label), verbalizer


def cloze_output(verbalizer: Verbalizer, sequence_label: OutputKind) -> OutputKind:
    """The output kind for a task with a label per text, answered at the mask.

    Args:
        verbalizer: the words of the labels, in the order of the labels.
        sequence_label: the kind whose encoding, loss and decoding are used on the labels' scores.
    """
    ids, weights, prior = (torch.from_numpy(each) for each in (verbalizer.ids, verbalizer.weights, verbalizer.prior))

    def scores(logits: Tensor) -> Tensor:
        device = logits.device
        at_mask = logits.flatten(0, -2).float()
        found: Tensor = label_scores(at_mask, ids.to(device), weights.to(device), prior.to(device))
        return found

    def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
        columns = sequence_label.encode(records, first, context)
        mask = special_id(MASK, context.words)
        if any(row.count(mask) != 1 for row in columns["input_ids"]):
            raise RuntimeError("an input does not have exactly one mask")
        return columns

    def loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
        return sequence_label.loss(scores(logits), batch)

    def decode(logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
        return sequence_label.decode(scores(logits), batch)

    return replace(sequence_label, name=HEAD, encode=encode, loss=loss, decode=decode)


def read_at_mask(network: PreTrainedModel, mask_id: int, labels: Sequence[str]) -> PreTrainedModel:
    """Let ``network`` answer at its inputs' masks alone: logits (rows, 1, vocabulary). In place.

    Args:
        network: with a masked-language head.
        mask_id: the tokenizer's mask; each input holds it once.
        labels: written into the network's config, from which a saved model's labels are read.
    """

    def at_mask(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        input_ids = kwargs["input_ids"] if kwargs.get("input_ids") is not None else args[0]
        place = (input_ids == mask_id).int().argmax(dim=1)
        hidden = output.last_hidden_state
        rows = torch.arange(hidden.shape[0], device=hidden.device)
        output.last_hidden_state = hidden[rows, place].unsqueeze(1)
        return output

    base_model_of(network).register_forward_hook(at_mask, with_kwargs=True)
    network.config.id2label = dict(enumerate(labels))
    network.config.label2id = {label: index for index, label in enumerate(labels)}
    return network


@torch.no_grad()
def calibrate(verbalizer: Verbalizer, network: nn.Module, context: EncodingContext, kind: OutputKind) -> Verbalizer:
    """The verbalizer with the prior that this network, in eval mode, has on inputs that say nothing.

    Args:
        network: one that :func:`read_at_mask` has changed.
        context: as for encoding; its render is a template.
        kind: the sequence-label kind that encodes.
    """
    assert isinstance(context.render, TemplateRender)
    bare = EncodingContext(context.words, context.labels, context.options, context.overlap, context.render)
    columns = kind.encode(context.render.content_free(CONTENT_FREE), 0, bare)
    batch = pad_columns(columns, {**kind.padding, "input_ids": context.words.tokenizer.pad_token_id})
    device = next(network.parameters()).device
    inputs = {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}
    was_training = network.training
    network.eval()
    logits = network(**inputs).logits.flatten(0, -2).float().cpu()
    network.train(was_training)
    arrays = (torch.from_numpy(each) for each in (verbalizer.ids, verbalizer.weights, 0 * verbalizer.prior))
    return verbalizer.calibrated(torch.log_softmax(label_scores(logits, *arrays), dim=-1).numpy())


def check_mask_head(folder: Path, architecture: PretrainedConfig) -> None:
    """Refuse ``{mask}`` for a backbone that never learnt to fill one, before its weights are loaded.

    Raises:
        UserError: if the family or the checkpoint has no masked-language head.
    """
    remedy = "Choose a backbone that was trained with masks, such as bert-base-cased, or a template without {mask}."
    if not supports(architecture.model_type, HEAD):
        raise UserError(
            f"{{mask}} needs a masked-language head, which a model of type '{architecture.model_type}' does not have",
            where="template.text",
            remedy=remedy,
        )
    missing = missing_head_weights(folder, architecture, HEAD)
    if missing:
        raise UserError(
            f"{{mask}} needs a masked-language head, and this backbone's weights have none (no {missing[0]})",
            where="template.text",
            remedy=remedy,
        )
