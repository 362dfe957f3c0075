"""A classification head on pooled hidden states: what sentence encoders were trained for (Reimers & Gurevych 2019).

The heads of transformers read the first token, or the last one in decoders. Sentence encoders such as all-MiniLM put
a text's meaning into the mean over its tokens, and with few labels that decides.
"""

import inspect
import json
from pathlib import Path
from typing import Any

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
        pooling: mean (over the tokens that the attention mask shows) or cls (the first token).
        n_labels: of the head.
    """

    base_model_prefix = "backbone"

    def __init__(self, backbone: PreTrainedModel, pooling: Pooling, n_labels: int) -> None:
        super().__init__()
        self.backbone, self.pooling = backbone, pooling
        config = self.config = backbone.config
        setattr(config, CONFIG_KEY, pooling)
        self.dropout = nn.Dropout(_head_dropout(config))
        self.classifier: nn.Module = nn.Linear(int(config.hidden_size), n_labels)
        nn.init.normal_(self.classifier.weight, std=float(getattr(config, "initializer_range", 0.02)))
        nn.init.zeros_(self.classifier.bias)

    @property
    def base_model(self) -> PreTrainedModel:
        return self.backbone

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.backbone.get_input_embeddings()
        return embeddings

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """Logits (rows, labels) of ``input_ids`` and ``attention_mask`` (rows, tokens)."""
        hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(self.pooled(hidden, attention_mask))))

    def pooled(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """One vector a row, (rows, width), in float32."""
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


def choose_pooling(folder: Path, architecture: PretrainedConfig, config: ModelConfig) -> Pooling:
    """``native``, ``mean`` or ``cls`` for this model: what is asked for, or for ``auto`` what suits it.

    A folder that was saved with a pooled head, or that brings the pooling of sentence-transformers, says so itself;
    some families of the Hub are known by name.

    Raises:
        UserError: if this kind of model cannot be pooled so.
    """
    check_pooling(config.pooling, str(architecture.model_type))
    if config.pooling != "auto":
        return config.pooling
    saved = getattr(architecture, CONFIG_KEY, None)
    found: Pooling = saved if saved in ("mean", "cls") else _of_sentence_transformers(folder) or _by_name(config)
    return "native" if found == "cls" and is_causal(architecture.model_type) else found


def check_pooling(pooling: Pooling, model_type: str) -> None:
    """Raise for a pooling that this model type has no use for; told from the config alone."""
    if pooling in ("mean", "cls") and is_seq2seq(model_type):
        raise UserError(
            f"a model of type '{model_type}' has an encoder and a decoder, and its hidden states are not pooled",
            where="model.pooling",
            remedy="Set model.pooling=native, which is its own head.",
        )
    if pooling == "cls" and is_causal(model_type):
        raise UserError(
            f"the first token of a model of type '{model_type}' sees nothing of the text behind it",
            where="model.pooling",
            remedy="Set model.pooling=native (the last token) or mean.",
        )


def without_pooler(model_class: Any) -> dict[str, bool]:
    """Arguments that leave out the backbone's own pooler, whose weights would never get a gradient."""
    takes = inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


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
