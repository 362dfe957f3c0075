"""A classification head on pooled hidden states: what sentence encoders were trained for (Reimers & Gurevych 2019).

The heads of transformers read the first token, or the last one in decoders. Sentence encoders such as all-MiniLM put
a text's meaning into the mean over its tokens, and with few labels that decides. What holds between two entities of a
text is best read off the states at these two (Baldini Soares et al. 2019, "Matching the Blanks").
"""

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from rag_lightning.errors import UserError
from rag_lightning.model.interface import is_causal, is_seq2seq
from rag_lightning.model.options import ModelConfig, Pooling

HEAD_FILE = "pooled_head.safetensors"
# In the config.json of a folder that was saved with such a head.
CONFIG_KEY = "rag_lightning_pooling"
ENTITY_PAIR = "entity_pair"  # the head of a task whose batches say where two entities are
# Sentence encoders of the Hub, of which only the plain model's files are fetched.
_KNOWN: tuple[tuple[str, Pooling], ...] = (
    ("sentence-transformers/", "mean"),
    ("intfloat/e5-", "mean"),
    ("intfloat/multilingual-e5-", "mean"),
    ("thenlper/gte-", "mean"),
    ("BAAI/bge-", "cls"),
)


def masked_mean(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The mean of ``hidden`` (rows, tokens, width) over the tokens that ``attention_mask`` (rows, tokens) shows."""
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1).clamp_min(1.0)


class PooledClassifier(nn.Module):
    """A backbone, the pooled vector of its last hidden states, dropout, and a linear layer.

    It answers to what is asked of a model of transformers here: ``config``, ``base_model``, ``get_input_embeddings``,
    ``save_pretrained``, and ``logits`` in its output.

    Args:
        backbone: gives ``last_hidden_state`` (rows, tokens, width).
        pooling: mean (over the tokens that the attention mask shows), cls (the first token), or entities (two tokens
            that the batch names, beside each other).
        n_labels: of the head.
    """

    base_model_prefix = "backbone"

    def __init__(self, backbone: PreTrainedModel, pooling: Pooling, n_labels: int) -> None:
        super().__init__()
        self.backbone, self.pooling = backbone, pooling
        config = self.config = backbone.config
        setattr(config, CONFIG_KEY, pooling)
        self.dropout = nn.Dropout(_head_dropout(config))
        width = int(config.hidden_size) * (2 if pooling == "entities" else 1)
        self.classifier: nn.Module = nn.Linear(width, n_labels)
        nn.init.normal_(self.classifier.weight, std=float(getattr(config, "initializer_range", 0.02)))
        nn.init.zeros_(self.classifier.bias)

    @property
    def base_model(self) -> PreTrainedModel:
        return self.backbone

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.backbone.get_input_embeddings()
        return embeddings

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        places: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits (rows, labels) of ``input_ids`` and ``attention_mask`` (rows, tokens).

        Args:
            places: (rows, 2), the tokens at which the entities are read, for that pooling.
            token_type_ids: (rows, tokens), which text of a pair a token is of, for backbones that were trained so.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        hidden = self.backbone(**inputs).last_hidden_state
        vectors = self.pooled(hidden, attention_mask, places)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(vectors)))

    def pooled(self, hidden: Tensor, attention_mask: Tensor, places: Tensor | None = None) -> Tensor:
        """One vector a row, (rows, width) or for entities (rows, 2 x width), in float32."""
        if self.pooling == "entities":
            assert places is not None, "the output kind has to say where the entities are"
            rows = torch.arange(hidden.shape[0], device=hidden.device).unsqueeze(1)
            return hidden[rows, places].float().flatten(1)
        hidden = hidden.float()
        if self.pooling == "cls":
            return hidden[:, 0]
        return masked_mean(hidden, attention_mask)

    def save_pretrained(self, folder: str | Path) -> None:
        """The backbone as a standard folder, and all else in :data:`HEAD_FILE` beside it."""
        self.backbone.save_pretrained(folder)
        prefix = f"{self.base_model_prefix}."
        head = {name: each.contiguous() for name, each in self.state_dict().items() if not name.startswith(prefix)}
        save_file(head, Path(folder) / HEAD_FILE, metadata={"format": "pt"})

    def load_head(self, folder: Path) -> bool:
        """Take the head's weights from a folder; False, and nothing is changed, if they are of another shape.

        Raises:
            UserError: if the file is missing or damaged.
        """
        saved, own = read_head(folder), self.classifier.state_dict(prefix="classifier.")
        if any(name not in saved or saved[name].shape != each.shape for name, each in own.items()):
            return False
        self.load_state_dict({name: saved[name] for name in own}, strict=False)
        return True


def read_head(folder: Path) -> dict[str, Tensor]:
    """What a pooled model has beside its backbone, by name.

    Raises:
        UserError: if the file is missing or damaged.
    """
    try:
        return load_file(folder / HEAD_FILE)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"The pooled head of this model cannot be read ({str(error).splitlines()[0]})",
            where=str(folder / HEAD_FILE),
            remedy="Copy the whole folder again; config.json says that it was saved with this file.",
        ) from None


def choose_pooling(
    folder: Path, architecture: PretrainedConfig, config: ModelConfig, output_kind: str = "sequence_label"
) -> Pooling:
    """``native``, ``mean``, ``cls`` or ``entities`` for this model: what is asked for, or for ``auto`` what suits it.

    A folder that was saved with a pooled head, or that brings the pooling of sentence-transformers, says so itself;
    some families of the Hub are known by name.

    Raises:
        UserError: if this kind of model cannot be pooled so.
    """
    model_type = str(architecture.model_type)
    check_pooling(config.pooling, model_type, output_kind)
    if config.pooling != "auto":
        return config.pooling
    if output_kind == ENTITY_PAIR and not (is_seq2seq(model_type) or is_causal(model_type)):
        return "entities"
    saved = getattr(architecture, CONFIG_KEY, None)
    found: Pooling = saved if saved in ("mean", "cls") else _of_sentence_transformers(folder) or _by_name(config)
    return "native" if found == "cls" and is_causal(model_type) else found


def check_pooling(pooling: Pooling, model_type: str, output_kind: str = "sequence_label") -> None:
    """Raise for a pooling that this model type or this kind of answer has no use for; told from the config alone."""
    if pooling == "entities" and output_kind != ENTITY_PAIR:
        raise UserError(
            "model.pooling=entities reads the states at two marked entities, which only task=relation has",
            where="model.pooling",
            remedy="Set model.pooling=auto.",
        )
    if pooling in ("mean", "cls", "entities") and is_seq2seq(model_type):
        raise UserError(
            f"a model of type '{model_type}' has an encoder and a decoder, and its hidden states are not pooled",
            where="model.pooling",
            remedy="Set model.pooling=native, which is its own head.",
        )
    if pooling in ("cls", "entities") and is_causal(model_type):
        raise UserError(
            f"the {'first token' if pooling == 'cls' else 'token at an entity'} of a model of type '{model_type}' sees "
            "nothing of the text behind it",
            where="model.pooling",
            remedy="Set model.pooling=native (the last token) or mean.",
        )


def without_pooler(model_class: Any) -> dict[str, bool]:
    """Arguments that leave out the backbone's own pooler, whose weights would never get a gradient."""
    takes = inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


def save_pooling(pooling: Pooling, folder: Path, architecture: PretrainedConfig) -> None:
    """Write into a model's folder how it is pooled, as sentence-transformers does and reads; nothing for native."""
    if pooling == "native":
        return
    modes = {f"pooling_mode_{name}": name.startswith(pooling) for name in ("cls_token", "mean_tokens", "max_tokens")}
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(parts)
    ]
    (folder / "1_Pooling").mkdir()
    for file, value in (
        ("1_Pooling/config.json", {"word_embedding_dimension": int(architecture.hidden_size), **modes}),
        ("modules.json", modules),
    ):
        (folder / file).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _of_sentence_transformers(folder: Path) -> Pooling | None:
    file = folder / "1_Pooling" / "config.json"
    try:
        modes = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "mean" if (folder / "modules.json").is_file() else None
    if modes.get("pooling_mode_mean_tokens"):
        return "mean"
    return "cls" if modes.get("pooling_mode_cls_token") else "native"


def _by_name(config: ModelConfig) -> Pooling:
    if config.path is not None:  # the name is a label then, and the folder may hold anything
        return "native"
    return next((pooling for prefix, pooling in _KNOWN if config.name.startswith(prefix)), "native")


def _head_dropout(config: PretrainedConfig) -> float:
    for key in ("classifier_dropout", "hidden_dropout_prob", "seq_classif_dropout", "dropout"):
        rate = getattr(config, key, None)
        if isinstance(rate, int | float):
            return float(rate)
    return 0.1


def drop_marker(architecture: PretrainedConfig) -> None:
    """Take the note of a pooled head out of a config that goes on without one."""
    if hasattr(architecture, CONFIG_KEY):
        delattr(architecture, CONFIG_KEY)


def is_pooled(network: object) -> bool:
    """Whether a network has such a head, which transformers' pipeline does not know."""
    return isinstance(network, PooledClassifier)


def reads_entities(network: object) -> bool:
    """Whether a network's head wants to be told where the two entities are."""
    return isinstance(network, PooledClassifier) and network.pooling == "entities"
