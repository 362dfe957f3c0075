"""A program of ``torch.export`` (``model.pt2``) with tokenizer, rules and template beside it."""

import warnings
from pathlib import Path

import torch

from rag_lightning.export.folder import write_beside
from rag_lightning.export.graph import graph_of, traced
from rag_lightning.export.options import ExportConfig
from rag_lightning.export.program import check_plain
from rag_lightning.export.runtime import TORCH_FILE, ExportedModel
from rag_lightning.export.runtime import load as load_model
from rag_lightning.inference.saved import SavedRun

MARK = TORCH_FILE  # the file by which a folder of this format is known
_USE = "from rag_lightning.export.runtime import load"


def write(run: SavedRun, folder: Path, config: ExportConfig) -> None:
    """Write the folder."""
    graph = graph_of(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.export.save(traced(graph, run.guide.index.size), folder / TORCH_FILE)
    check_plain(folder / TORCH_FILE)
    write_beside(run, folder, graph.inputs)


def load(run: SavedRun, folder: Path) -> ExportedModel:
    """The folder's model."""
    return load_model(folder)


def use(run: SavedRun, folder: Path) -> str:
    """How the folder is used."""
    return f"{_USE}\nmodel = load({str(folder)!r})\nprint(model.answer({run.task.example!r}))"
