"""Rule hits as input: each hit's embedding is added at the first trained layer and its scores to the head's.

Both are zero at first, so that a model without hits, or before its first step, is the plain one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rag_lightning.model.interface import layers_of
from rag_lightning.rules.marks import COLUMN, COLUMN_BITS

NAME = "rule_features"  # of the submodule, hence of its weights in a saved model


class RuleFeatures(nn.Module):
    """Marks of tokens, such as "inside a hit of rule 3", as vectors for the backbone and scores for the head.

    Args:
        size: number of different marks.
        width: of the backbone's hidden states.
        n_labels: of the head.
        dropout: share of the rows whose marks are hidden in training, so that the model learns to do without.
    """

    def __init__(self, size: int, width: int, n_labels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.size, self.dropout = size, dropout
        self.hidden = nn.Parameter(torch.zeros(size, width))
        self.scores = nn.Parameter(torch.zeros(size, n_labels))
        self._marks: Tensor | None = None

    def marks(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """The marks of a batch as numbers 0 and 1, (rows, tokens, size); None if the batch has none."""
        columns = [batch[name] for i in range(-(-self.size // COLUMN_BITS)) if (name := COLUMN.format(i)) in batch]
        if not columns or not any(bool(column.any()) for column in columns):
            return None
        bits = torch.arange(COLUMN_BITS, device=columns[0].device)
        unpacked = torch.cat([(column.unsqueeze(-1) >> bits) & 1 for column in columns], dim=-1)[..., : self.size]
        marks = unpacked.to(self.hidden.dtype)
        if self.training and self.dropout > 0.0:
            kept = torch.rand(marks.shape[0], 1, 1, device=marks.device) >= self.dropout
            marks = marks * kept
        return marks

    @contextmanager
    def given(self, marks: Tensor | None) -> Iterator[None]:
        """Within the block the backbone's layer sees these marks."""
        self._marks = marks
        try:
            yield
        finally:
            self._marks = None

    def add_to_hidden(self, hidden: Tensor) -> Tensor:
        """``hidden`` (rows, tokens, width) with the vectors of the marks in force, once in a forward pass.

        Where layers share their parameters (ALBERT) the same module is passed several times.
        """
        marks, self._marks = self._marks, None
        return hidden if marks is None else hidden + (marks @ self.hidden).to(hidden.dtype)

    def add_to_logits(self, logits: Tensor, marks: Tensor | None) -> Tensor:
        """Logits of tokens (rows, tokens, labels) or of texts (rows, labels), where a mark anywhere counts once."""
        if marks is None:
            return logits
        seen = marks if logits.ndim == 3 else marks.amax(dim=1)
        return logits + (seen @ self.scores).to(logits.dtype)


def attach(network: PreTrainedModel, features: RuleFeatures, frozen_layers: int) -> None:
    """Make ``features`` a part of ``network``: of its parameters, its saved weights and its first trained layer.

    Where all layers are frozen only the head's scores take part; where none is, the first layer's input does.
    """
    network.add_module(NAME, features)
    layers = layers_of(network)
    if frozen_layers < len(layers):
        layers[frozen_layers].register_forward_pre_hook(_Adding(features), with_kwargs=True)


class _Adding:
    """The hook of the first trained layer; hidden states come first or by name."""

    def __init__(self, features: RuleFeatures) -> None:
        self.features = features

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (self.features.add_to_hidden(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self.features.add_to_hidden(kwargs["hidden_states"])}


def guided_logits(network: nn.Module, batch: Mapping[str, Tensor], **further: Tensor) -> Tensor:
    """The network's logits for a batch, with its rule features if it has any; ``further`` inputs are its head's."""
    features = getattr(network, NAME, None)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], **further}
    if "token_type_ids" in batch and int(getattr(network.config, "type_vocab_size", None) or 0) > 1:
        inputs["token_type_ids"] = batch["token_type_ids"]
    if not isinstance(features, RuleFeatures):
        logits: Tensor = network(**inputs).logits
        return logits
    marks = features.marks(batch)
    with features.given(marks):
        logits = network(**inputs).logits
    return features.add_to_logits(logits, marks)
