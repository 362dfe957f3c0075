"""The backbone of one model under the head of another, to see what a later training left of an earlier one."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel

from rag_lightning.errors import UserError
from rag_lightning.model.files import problem_of
from rag_lightning.model.interface import base_model_of
from rag_lightning.model.quiet import quiet


def take_backbone(network: Any, folder: Path) -> None:
    """Put the backbone of a model's folder into ``network``, whose head stays.

    Args:
        folder: of a run, or of a model of the same architecture.

    Raises:
        UserError: if the folder holds no model, or one of another shape.
    """
    folder = folder / "model" if (folder / "model").is_dir() else folder
    if (problem := problem_of(folder)) is not None:
        raise problem
    with quiet():
        other = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, local_files_only=True)
    own, weights = base_model_of(network).state_dict(), other.state_dict()
    names = [name for name in own if "pooler" not in name]
    strange = [name for name in names if name not in weights or weights[name].shape != own[name].shape]
    if strange:
        raise UserError(
            f"its backbone has another shape than the run's ({strange[0]})",
            where=f"backbone ({folder})",
            remedy="Give a run that was trained on from this one, or from the same pretrained model.",
        )
    base_model_of(network).load_state_dict({name: weights[name] for name in names}, strict=False)
