"""An ONNX graph (``model.onnx``) for onnxruntime, with tokenizer, rules and template beside it; torch is not needed."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from rag_lightning.errors import UserError
from rag_lightning.export.folder import write_beside
from rag_lightning.export.graph import example_inputs, graph_of, traced
from rag_lightning.export.options import ExportConfig
from rag_lightning.export.runtime import ONNX_FILE, ExportedModel
from rag_lightning.export.runtime import load as load_model
from rag_lightning.inference.saved import SavedRun

MARK = ONNX_FILE  # the file by which a folder of this format is known
_USE = "from rag_lightning.export.runtime import load  # needs onnxruntime, and no torch"
_LOUD = ("torch.onnx", "onnxscript", "onnx_ir", "root")


def write(run: SavedRun, folder: Path, config: ExportConfig) -> None:
    """Write the folder.

    Raises:
        UserError: if the libraries are not installed, or ONNX has no operator for something in this backbone.
    """
    _check_installed()
    graph = graph_of(run)
    marks = run.guide.index.size
    program = traced(graph, marks)
    with _silence():
        try:
            made = torch.onnx.export(
                program, example_inputs(graph, marks), input_names=list(graph.inputs), output_names=[graph.gives],
                dynamo=True, verbose=False,
            )  # fmt: skip
        except Exception as error:  # what the exporter raises is not documented
            raise UserError(
                f"ONNX has no form for this backbone ({str(error).strip().splitlines()[0]})",
                where="format",
                remedy="Choose format=torch or format=hf.",
            ) from error
        assert made is not None
        made.save(str(folder / ONNX_FILE))
        if config.int8:
            _quantise(folder)
    write_beside(run, folder, graph.inputs)


def load(run: SavedRun, folder: Path) -> ExportedModel:
    """The folder's model."""
    return load_model(folder, torch.get_num_threads())


def _quantise(folder: Path) -> None:
    """Matrix products with weights in 8 bits, a scale for each column; activations are quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = folder / "whole.onnx"
    (folder / ONNX_FILE).rename(whole)
    quantize_dynamic(whole, folder / ONNX_FILE, per_channel=True, weight_type=QuantType.QInt8)
    whole.unlink()


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"the package {error.name} is not installed",
            where="format=onnx",
            remedy="pip install 'rag_lightning[onnx]'.",
        ) from None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter prints its progress and warns of what torchvision would add."""
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def use(run: SavedRun, folder: Path) -> str:
    """How the folder is used."""
    return f"{_USE}\nmodel = load({str(folder)!r})\nprint(model.answer({run.task.example!r}))"
