"""A network as a program of ``torch.export``: written, read back without unpickling objects, run.

What is no plain tensor is refused before torch sees the file. A program is code all the same, as a Python file is:
one from elsewhere is run only by who trusts its source.
"""

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rag_lightning.errors import UserError


class TorchSession:
    """A saved program on the CPU.

    Args:
        file: a ``.pt2`` of weights and a graph.
        inputs: the program's, in order.

    Raises:
        UserError: if the file holds pickled objects, or cannot be read.
    """

    def __init__(self, file: Path, inputs: Sequence[str]) -> None:
        check_plain(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self._module = torch.export.load(file).module()
        self._inputs = inputs

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        output: np.ndarray = self._module(*(torch.from_numpy(inputs[name]) for name in self._inputs)).numpy()
        return output


def check_plain(file: Path) -> None:
    """Raise a UserError where a saved program holds what torch would unpickle: tensors of odd kinds, or objects."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            configs = [json.loads(archive.read(name)) for name in names if name.endswith("_config.json")]
            saved = [archive.read(name) for name in names if name.endswith(".pt")]  # by torch.save: sample inputs
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise UserError(
            f"the program cannot be read ({error})", where=str(file), remedy="Export the run again."
        ) from None
    objects = [name for name in names if "custom_obj" in name or "opaque_obj" in name]
    if objects or any(map(_asks_for_pickle, configs)) or not all(map(_is_plain, saved)):
        raise UserError(
            "the file holds pickled objects, which could run any code when they are read",
            where=str(file),
            remedy="Export the run again: programs written by rag_lightning hold weights only.",
        )


def _is_plain(content: bytes) -> bool:
    """Whether torch reads it without unpickling objects; where it cannot, torch.export would unpickle them."""
    try:
        torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError):
        return not content
    return True


def _asks_for_pickle(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("use_pickle") is True or any(map(_asks_for_pickle, value.values()))
    return isinstance(value, list) and any(map(_asks_for_pickle, value))
