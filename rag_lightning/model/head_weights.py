"""Which weights of a language-model head a checkpoint brings, told without loading any."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, PretrainedConfig

from rag_lightning.model.files import weight_files
from rag_lightning.model.interface import base_model_of

_RENAMED = {".gamma": ".weight", ".beta": ".bias"}  # LayerNorm in checkpoints of the first BERT
_HEADS: dict[str, Any] = {"masked_tokens": AutoModelForMaskedLM, "next_tokens": AutoModelForCausalLM}


def missing_head_weights(folder: Path, architecture: PretrainedConfig, head: str = "masked_tokens") -> list[str]:
    """The names of the head's own weights that the checkpoint in a folder lacks, in alphabetical order.

    Those that a head shares with the embeddings (tied) are no sign of it.

    Args:
        folder: of a resolved model.
        architecture: its configuration.
        head: masked_tokens or next_tokens.
    """
    with torch.device("meta"):
        network = _HEADS[head].from_config(architecture)
    base = {id(each) for each in base_model_of(network).parameters()}
    own = {name for name, each in network.named_parameters() if name.endswith(".weight") and id(each) not in base}
    return sorted(own - _stored(folder))


def _stored(folder: Path) -> set[str]:
    """The names of a checkpoint's tensors, as the current classes call them."""
    names: set[str] = set()
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as tensors:
            names.update(tensors.keys())
    for old, new in _RENAMED.items():
        names = {name.removesuffix(old) + new if name.endswith(old) else name for name in names}
    return names
