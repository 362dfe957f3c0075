"""A resolved folder as a tokenizer and a network with the head that a task needs."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import psutil
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from rag_lightning.errors import UserError
from rag_lightning.model.files import fingerprint, weight_files
from rag_lightning.model.interface import (
    INTERFACES,
    LABEL_HEADS,
    TEXT_HEADS,
    base_model_of,
    check_supported,
    embeddings_of,
    is_seq2seq,
    layers_of,
)
from rag_lightning.model.options import ModelConfig
from rag_lightning.model.pooling import CONFIG_KEY, PooledClassifier, choose_pooling, drop_marker, without_pooler
from rag_lightning.model.quiet import quiet
from rag_lightning.model.resolve import architecture
from rag_lightning.trials import are_many, kept

LONGEST_BY_DEFAULT = 512
_SMALL = 10  # a model that is kept takes at most one part in so many of the machine's memory
_HEADS: dict[str, Any] = {
    "token_labels": AutoModelForTokenClassification,
    "sequence_label": AutoModelForSequenceClassification,
    "entity_pair": AutoModelForSequenceClassification,
    "span": AutoModelForQuestionAnswering,
    "next_tokens": AutoModelForCausalLM,
    "masked_tokens": AutoModelForMaskedLM,
    "vectors": AutoModel,
}
# Their first positions are taken: position ids start behind the padding id (1 as published; fixed in MPNet).
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet")


def load_network(
    folder: Path,
    output_kind: str,
    labels: Sequence[str],
    config: ModelConfig,
    seed: int,
    *,
    pad_token_id: int | None = None,
) -> PreTrainedModel:
    """The backbone with the head for ``output_kind``, in float32 and in **eval mode**.

    Call ``.train()`` on what shall learn (and ``keep_frozen_in_eval`` after it): Lightning keeps the modes of
    submodules, so that dropout would stay off for the whole fit. Where a process does many trials it is a copy of one
    that stays in memory.

    Args:
        folder: a resolved model.
        output_kind: one of :data:`rag_lightning.model.interface.OUTPUT_KINDS`.
        labels: the label names in the order of their ids; unused where the head has none.
        config: dropout, pooling, random_init and trust_remote_code are read.
        seed: of the new head's weights (of all with ``random_init``); torch's state is left as it was.
        pad_token_id: the tokenizer's, for models whose config names none.

    Raises:
        UserError: no such head for this family, or a checkpoint that does not hold this backbone.
    """

    def load() -> PreTrainedModel:
        return _loaded(folder, output_kind, labels, config, seed, pad_token_id)

    if not are_many() or config.trust_remote_code or not _may_be_kept(folder):
        return load()
    content = fingerprint(folder, weights=not config.random_init)
    built_by = (output_kind, list(labels), config.model_dump_json(), seed, pad_token_id)
    return copy.deepcopy(kept("backbone", f"{content} {built_by!r}", load))


def _may_be_kept(folder: Path) -> bool:
    """Whether a model is small beside the machine's memory, of which a copy takes as much again."""
    size = sum(file.stat().st_size for file in weight_files(folder) if file.is_file())
    return size * _SMALL < psutil.virtual_memory().total


def _loaded(
    folder: Path, output_kind: str, labels: Sequence[str], config: ModelConfig, seed: int, pad_token_id: int | None
) -> PreTrainedModel:
    wanted = architecture(folder, trust_remote_code=config.trust_remote_code)
    check_supported(wanted.model_type, output_kind)
    set_dropout(wanted, config.dropout, config.attn_dropout)
    if labels and output_kind in LABEL_HEADS:
        wanted.id2label = dict(enumerate(labels))
        wanted.label2id = {label: index for index, label in enumerate(labels)}
    if getattr(wanted, "pad_token_id", None) is None:
        wanted.pad_token_id = pad_token_id
    pooling = choose_pooling(folder, wanted, config, output_kind) if output_kind in TEXT_HEADS else "native"
    was_pooled = hasattr(wanted, CONFIG_KEY)
    drop_marker(wanted)
    head = AutoModel if pooling != "native" else head_class(output_kind, wanted.model_type)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.default_generator.manual_seed(seed)
        network = _build(head, folder, wanted, config)
        if pooling != "native":
            pooled = PooledClassifier(network, pooling, len(labels))
            if was_pooled and not config.random_init:
                pooled.load_head(folder)
            # It answers to all that is asked of a model of transformers here.
            network = cast(PreTrainedModel, pooled)
    return network.eval()


def _build(head: Any, folder: Path, wanted: PretrainedConfig, config: ModelConfig) -> PreTrainedModel:
    """The model of this class with the folder's weights, or with random ones."""
    known = head is AutoModel and type(wanted) in AutoModel._model_mapping
    arguments = without_pooler(AutoModel._model_mapping[type(wanted)]) if known else {}
    if config.random_init:
        network: PreTrainedModel = head.from_config(wanted, dtype=torch.float32, **arguments)
        return network
    mapping = _renamed_backbone(head, wanted)
    try:
        network, info = head.from_pretrained(
            folder,
            config=wanted,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            # Heads of another task may differ in shape and are drawn anew; the backbone is checked below.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            key_mapping=mapping,
            trust_remote_code=config.trust_remote_code,
            **arguments,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"The weights in this folder cannot be loaded ({str(error).strip().splitlines()[0]})",
            where=str(folder),
            remedy="Check that config.json and model.safetensors belong together.",
        ) from error
    _check_backbone(network, info, folder)
    if mapping:
        # Else save_pretrained would put the old names back, which this head does not find.
        network._weight_conversions = None
    return network


def set_dropout(config: PretrainedConfig, dropout: float | None, attn_dropout: float | None) -> None:
    """Set the rates under whatever keys the family has for them; None leaves the model's.

    ``dropout`` is that of hidden states, activations, embeddings and heads; T5 has one rate for all, which
    includes attention. Dropping whole layers (layerdrop) is left as it is.
    """
    for key in config.to_dict():
        if "drop" not in key or "layerdrop" in key:
            continue
        rate = attn_dropout if key.startswith(("attn", "attention")) else dropout
        if rate is not None:
            setattr(config, key, rate)
    if dropout is not None:
        # Decoder families do not list it, and their heads then take 0.1.
        config.classifier_dropout = dropout


def window_length(config: PretrainedConfig, wanted: int | None = None) -> int:
    """The longest input in sub-words, special ones included.

    Args:
        config: the model's; its position embeddings set the limit (T5 has none).
        wanted: ``model.max_length``; None is the model's own limit, but at most 512: memory and time grow
            with the square of it, and longer texts are split into windows anyway.

    Raises:
        UserError: more than the model can read.
    """
    limit: int | None = getattr(config, "max_position_embeddings", None)
    if limit is not None and config.model_type in _OFFSET_POSITIONS:
        limit -= max(int(config.pad_token_id or 0), 1) + 1
    if limit is None or limit <= 0:
        return wanted or LONGEST_BY_DEFAULT
    if wanted is not None and wanted > limit:
        raise UserError(
            f"max_length={wanted} is more than the {limit} positions that this model knows",
            where="model.max_length",
            remedy=f"Choose at most {limit}; longer texts are split into windows and nothing is lost.",
        )
    return wanted or min(limit, LONGEST_BY_DEFAULT)


def head_class(output_kind: str, model_type: str) -> Any:
    """The class of transformers that has this head."""
    if output_kind == "text":
        return AutoModelForSeq2SeqLM if is_seq2seq(model_type) else AutoModelForCausalLM
    return _HEADS[output_kind]


def _renamed_backbone(head: Any, config: PretrainedConfig) -> dict[str, str] | None:
    """Names of Llama-like backbones to change on reading.

    Most heads call it ``model``, the span heads of some types ``transformer``, and transformers does not
    translate: the whole backbone would be drawn anew.
    """
    if config.model_type not in INTERFACES or INTERFACES[config.model_type].family != "Llama-like":
        return None
    prefix = str(head._model_mapping[type(config)].base_model_prefix)
    other = {"model": "transformer", "transformer": "model"}[prefix]
    return {rf"^{other}\.": f"{prefix}."}


def _check_backbone(network: PreTrainedModel, info: dict[str, Any], folder: Path) -> None:
    """New heads are expected; a backbone that is not in the checkpoint would be random in silence."""
    held = _backbone_names(network)
    for name, found, expected in info["mismatched_keys"]:
        if name in held:
            raise UserError(
                f"The weights do not fit config.json: {name} has shape {tuple(found)}, not {tuple(expected)}",
                where=str(folder),
                remedy="Take config.json and model.safetensors from the same model.",
            )
    missing = sorted(set(info["missing_keys"]) & held)
    if missing:
        raise UserError(
            f"The checkpoint lacks {len(missing)} of the {len(held)} backbone tensors, such as {missing[0]}",
            where=str(folder),
            remedy="Take config.json and model.safetensors from the same model, or model.random_init=true.",
        )


def _backbone_names(network: PreTrainedModel) -> set[str]:
    """The names of the parameters of embeddings and layers (of the whole base model in unknown families)."""
    base = base_model_of(network)
    modules = [base]
    if base.config.model_type in INTERFACES:
        modules = [*embeddings_of(network), *layers_of(network)]
    held = {id(each) for module in modules for each in module.parameters()}
    return {name for name, each in network.named_parameters() if id(each) in held and "pooler" not in name}
