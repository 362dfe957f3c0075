"""What a retention method may know: before a model is loaded, and once it is."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rag_lightning.config.fingerprint import fingerprint
from rag_lightning.config.paths import cache_dir
from rag_lightning.encoding.cache import cached
from rag_lightning.errors import UserError
from rag_lightning.model.interface import base_model_of
from rag_lightning.retention.text_batches import TextBatches
from rag_lightning.speed.active_rows import ActiveRowsEmbedding
from rag_lightning.tuning.options import TuningConfig

WRITING_HEADS = ("text", "next_tokens")  # whose whole network is pretrained, output layer included
UNLABELLED = -100  # the label of a token that is not to be predicted
_FILE = "tensors.safetensors"


@dataclass(frozen=True)
class Situation:
    """A run as its configuration tells it.

    Attributes:
        head: the kind of head that the network has.
        folder: of the pretrained model; ``architecture`` is its config.
        all_frozen: no layer of the backbone learns.
        tuning: the typed node; ``random_init``: the backbone was not pretrained.
    """

    head: str
    folder: Path
    architecture: Any
    all_frozen: bool
    tuning: TuningConfig
    random_init: bool = False

    @property
    def model_type(self) -> str:
        return str(self.architecture.model_type)


@dataclass(frozen=True)
class Setting:
    """A run with its network loaded, before the first step.

    Attributes:
        network: with the weights of pretraining; its head may be new.
        batches: ``(texts a batch)`` -> batches of general text.
        forward: ``(network, batch)`` -> the task's outputs.
        fingerprint: of the pretrained model and of the general text, for what is computed once and kept on disk.
        mask_id: of the tokenizer, if it has one; ``special_ids`` are no words.
        numerics: how layers are computed, since what is remembered depends on it.
    """

    situation: Situation
    network: Any
    batches: Callable[[int], TextBatches]
    forward: Callable[[Any, dict[str, Tensor]], Any]
    fingerprint: str
    seed: int
    mask_id: int | None = None
    special_ids: tuple[int, ...] = ()
    numerics: str = ""
    _start: dict[str, Tensor] = field(default_factory=dict)

    @property
    def backbone(self) -> Any:
        """The pretrained part without its head."""
        return base_model_of(self.network)

    @cached_property
    def learning(self) -> dict[str, nn.Parameter]:
        """The pretrained parameters that learn, each once whatever shares it."""
        return dict(pretrained_parameters(self.network, self.situation.head))

    def start(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The weights of pretraining, copied once for all methods that ask for them."""
        for name in names:
            if name not in self._start:
                self._start[name] = self.learning[name].detach().clone()
        return {name: self._start[name] for name in names}

    def remembered(
        self, what: str, settings: dict[str, Any], compute: Callable[[], dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Tensors that depend on the pretrained model and the general text alone, computed once and kept on disk."""
        print_of = fingerprint({"what": what, "on": self.fingerprint, "numerics": self.numerics, **settings})
        folder, _ = cached(cache_dir() / "retention", print_of, lambda beside: save_file(compute(), beside / _FILE))
        return load_file(folder / _FILE)


def pretrained_parameters(network: Any, head: str) -> Iterable[tuple[str, nn.Parameter]]:
    """Names in the network and parameters: of the backbone and, where the head was pretrained too, of that.

    Adapters, rule features and new heads have nothing to go back to.
    """
    part = network if head in WRITING_HEADS or head == "masked_tokens" else base_model_of(network)
    own = {id(each) for each in part.parameters()}
    for name, each in network.named_parameters():
        if id(each) in own and each.requires_grad and not is_added(name):
            yield name, each


def is_added(name: str) -> bool:
    """Whether a parameter of this name came with an adapter or with rule features instead of from pretraining."""
    return any(part.startswith(("lora_", "ia3_", "rule_features", "pair_head")) for part in name.split("."))


def needs_a_learning_backbone(situation: Situation) -> None:
    """Raise where the backbone stays as it is, or knows nothing that could be kept.

    Raises:
        UserError: with what to choose instead.
    """
    if situation.all_frozen:
        raise UserError(
            "the whole backbone is frozen: nothing is lost that this method could keep",
            where="retention",
            remedy="Choose retention=none, or a tuning that changes the backbone (tuning=full).",
        )
    if situation.random_init:
        raise UserError(
            "a backbone with random weights knows nothing that could be kept",
            where="model.random_init",
            remedy="Choose retention=none, or model.random_init=false.",
        )


def needs_pretrained_weights(options: Any, situation: Situation) -> None:
    """Raise where no pretrained weight learns, so that there is nothing to hold on to.

    Raises:
        UserError: with what to choose instead.
    """
    needs_a_learning_backbone(situation)
    if situation.tuning.adapter.kind is not None:
        raise UserError(
            "adapters learn beside the pretrained weights, which stay as they are",
            where="retention",
            remedy="Choose retention=distill or rehearsal, which look at what the whole network says, or tuning=full.",
        )


def active_rows(network: nn.Module) -> str:
    """Which rows of the word embeddings learn, as a digest; empty where all do."""
    digest = hashlib.sha256()
    tables = [module for module in network.modules() if isinstance(module, ActiveRowsEmbedding)]
    for table in tables:
        digest.update(table.active.cpu().numpy().tobytes())
    return digest.hexdigest() if tables else ""


def in_eval(network: nn.Module) -> Callable[[], None]:
    """Switch dropout off everywhere; what is returned puts each part back into the mode it was in."""
    modes = [(module, module.training) for module in network.modules()]
    for module, _ in modes:
        module.training = False

    def back() -> None:
        for module, mode in modes:
            module.training = mode

    return back


def reader_of(backbone: Any) -> Any:
    """The part of a backbone that reads: of an encoder-decoder its encoder."""
    return backbone.get_encoder() if backbone.config.is_encoder_decoder else backbone


def last_hidden(backbone: Any, batch: dict[str, Tensor]) -> Tensor:
    """The last hidden states (rows, tokens, width) in float32; of an encoder-decoder its encoder's."""
    hidden: Tensor = reader_of(backbone)(**batch).last_hidden_state
    return hidden.float()


@torch.no_grad()
def gathered(network: Any, batches: TextBatches, compute: Callable[[dict[str, Tensor]], Tensor]) -> Tensor:
    """``compute`` of every text in the order of the texts, with dropout off: (texts, …)."""
    back = in_eval(network)
    rows: list[tuple[Tensor, Tensor]] = [(places, compute(batch)) for places, batch in batches.in_order()]
    back()
    values = torch.cat([value for _, value in rows])
    result = torch.empty_like(values)
    result[torch.cat([places for places, _ in rows])] = values
    return result
