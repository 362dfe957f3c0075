"""A standard folder of transformers: adapters merged, label names, model card; rules and template beside it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rag_lightning.export.graph import graph_of, live_spec
from rag_lightning.export.options import ExportConfig
from rag_lightning.export.runtime import ExportedModel
from rag_lightning.guidance.equip import equipment_of
from rag_lightning.guidance.saved import TEMPLATE, VERBALIZER
from rag_lightning.inference.saved import SavedRun
from rag_lightning.model.load import head_class
from rag_lightning.model.pooling import is_pooled
from rag_lightning.model.quiet import quiet

MARK = "config.json"  # the file by which a folder of this format is known


def write(run: SavedRun, folder: Path, config: ExportConfig) -> None:
    """Write the folder."""
    shutil.copytree(run.folder.model, folder, dirs_exist_ok=True)


def not_standard(run: SavedRun) -> list[str]:
    """What of the run's answers transformers alone does not give, in sentences."""
    added = sorted({name.split(".")[0] for name in equipment_of(run.network)})
    told = []
    if is_pooled(run.network):
        told.append(
            "the head reads pooled states and lies in pooled_head.safetensors, which transformers does not read"
        )
    if added:
        told.append(f"{', '.join(added)} in the weights: modules of rag_lightning, which transformers leaves out")
    if (run.folder.model / VERBALIZER).is_file():
        told.append("labels are read off words at the mask (verbalizer.json), which transformers does not do")
    if run.guide.transitions or run.guide.vetoes:
        told.append("constraints on the answers (valid tags, vetoes) are not applied")
    if (run.folder.model / TEMPLATE).is_file():
        told.append("the template (template.json) has to be applied to a text first")
    return told


def auto_class(run: SavedRun) -> Any:
    """The class of transformers that loads the folder."""
    from transformers import AutoModel

    return AutoModel if is_pooled(run.network) else head_class(run.task.output.head, run.network.config.model_type)


class _Plain:
    """The folder's network, as plain transformers loads it, behind our tokenizer and rules."""

    def __init__(self, run: SavedRun, folder: Path) -> None:
        with quiet():
            network = auto_class(run).from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        graph = graph_of(run)
        self._graph = type(graph)(network.eval(), graph.inputs, graph.gives, None)

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        given = (torch.from_numpy(inputs[name]) for name in self._graph.inputs)
        output: np.ndarray = self._graph(*given).numpy()
        return output


def load(run: SavedRun, folder: Path) -> ExportedModel | None:
    """The network as plain transformers loads it, behind our rules and tokenizer; None where its head is of our own."""
    standard = run.task.output.shape and not is_pooled(run.network) and not equipment_of(run.network)
    if not standard or (folder / VERBALIZER).is_file():
        return None
    return ExportedModel(live_spec(run, graph_of(run).inputs), _Plain(run, folder))


def use(run: SavedRun, folder: Path) -> str:
    """How the folder is used."""
    name = auto_class(run).__name__
    return (
        f"from transformers import AutoTokenizer, {name}\ntokenizer = AutoTokenizer.from_pretrained({str(folder)!r})\n"
        f"model = {name}.from_pretrained({str(folder)!r})"
    )
