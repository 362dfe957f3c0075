"""A finished run to a folder in a format: written, checked against the original, measured beside the others."""

import importlib
import json
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rag_lightning.config.validate import parse, to_plain
from rag_lightning.console import console, say
from rag_lightning.data.records import Record
from rag_lightning.data.shots import without_labels
from rag_lightning.errors import UserError, nearest
from rag_lightning.export import formats
from rag_lightning.export.checking import (
    Difference,
    check,
    compare,
    examples_of,
    texts_per_second,
)
from rag_lightning.export.folder import made_whole
from rag_lightning.export.options import ExportConfig
from rag_lightning.export.runtime import ExportedModel
from rag_lightning.export.table import Row, show
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import SavedRun, load_run
from rag_lightning.training.build import quiet
from rag_lightning.training.folder import RunFolder
from rag_lightning.tuning.adapter_files import size_of

BESIDE = "export"  # the folder in a run's that holds its formats
CHECKED = "checked.json"  # in an exported folder: what the comparison with the original found


@dataclass(frozen=True)
class Exported:
    """What an export gave.

    Attributes:
        folder: where it lies.
        difference: from the original; None where nothing could be compared.
        rows: of the table of formats.
    """

    folder: Path
    difference: Difference | None
    rows: list[Row]


def export_run(raw: DictConfig) -> Exported:
    """Write, check and measure; nothing is left where writing or the check fails.

    Raises:
        UserError: for a run that this format cannot hold, a place that is taken, or answers that differ too much.
    """
    config = parse(ExportConfig, to_plain(raw))
    format = format_of(config)
    path = Path(config.run).expanduser()
    RunFolder(path).read_config()
    target = Path(config.output).expanduser() if config.output else path / BESIDE / config.name
    quiet()
    with made_whole(target, config.force) as folder:
        run = load_run(config.run)
        say(f"exporting {run.folder.path} as {config.name}")
        format.write(run, folder, config)
        difference, records = None, list[Record]()
        if run.task.output.shape:
            split, records = examples_of(run, config.examples)
            difference = _compared(run, format, folder, split, records)
        if difference is not None:
            _tell(difference)
            check(difference, config)
            found = {key: getattr(difference, key) for key in difference.__dataclass_fields__}
            (folder / CHECKED).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    rows = _measured(run, target, records)
    show(rows, console)
    for sentence in getattr(format, "not_standard", lambda run: [])(run):
        say(f"  not with transformers alone: {sentence}", style="yellow")
    say(f"\nwritten: {target}\n{format.use(run, target)}")
    return Exported(target, difference, rows)


def format_of(config: ExportConfig) -> Any:
    """The module of the format.

    Raises:
        UserError: if there is none of that name, or an option is of another one.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(formats.__path__))
    if config.format not in names:
        close = nearest(config.format, names)
        remedy = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(names)}."
        raise UserError(f"there is no format {config.format!r}", where="format", remedy=remedy)
    if config.int8 and config.format != "onnx":
        raise UserError(
            f"format={config.format} keeps its weights in 32 bits",
            where="int8",
            remedy="Set format=onnx, or int8=false.",
        )
    return importlib.import_module(f"{formats.__name__}.{config.format}")


def _compared(run: SavedRun, format: Any, folder: Path, split: str, records: list[Record]) -> Difference | None:
    model: ExportedModel | None = format.load(run, folder)
    return None if model is None else compare(run, model, split, records)


def _tell(difference: Difference) -> None:
    say(
        f"  compared on {difference.examples} examples: largest difference of a logit {difference.logits:.2g}; "
        f"{difference.metric} {difference.ours:.4f} -> {difference.theirs:.4f}; "
        f"{difference.answers:.1%} of the answers are the same"
    )


def _measured(run: SavedRun, target: Path, records: list[Record]) -> list[Row]:
    """The original, and every format that lies beside it or was just written."""
    folders = sorted(path for path in (run.folder.path / BESIDE).glob("*") if (path / CHECKED).is_file())
    folders += [] if target in folders else [target]
    if not records:
        return [Row("the run's model/", size_of(run.folder.model)), Row(target.name, size_of(target))]
    bare = [without_labels(record, run.task.reading) for record in records]
    original = Predictor(load_run(str(run.folder.path)), device="cpu")
    rows = [Row("the run's model/, as predict uses it", size_of(run.folder.model), texts_per_second(original, bare))]
    for folder in folders:
        name = folder.name
        try:
            model = _written_by(folder).load(run, folder)
        except UserError as mistake:
            if folder == target:
                raise
            say(f"  {name} beside it is not measured: {mistake.reason}", style="yellow")
            continue
        found = json.loads((folder / CHECKED).read_text(encoding="utf-8")) if (folder / CHECKED).is_file() else None
        speed = None if model is None else texts_per_second(model, bare)
        rows.append(Row(name, size_of(folder), speed, Difference(**found) if found else None))
    return rows


def _written_by(folder: Path) -> Any:
    """The module of the format that a folder is in."""
    modules = [
        importlib.import_module(f"{formats.__name__}.{module.name}")
        for module in pkgutil.iter_modules(formats.__path__)
    ]
    return next(module for module in modules if (folder / module.MARK).is_file())
