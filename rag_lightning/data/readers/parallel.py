"""Two aligned files, a line of one for each line of the other: ``train.en`` and ``train.de``, also packed (.gz)."""

from collections.abc import Sequence
from pathlib import Path

from rag_lightning.data.fields import candidates, make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.text import read_text
from rag_lightning.errors import UserError

_SIDES = ("text", "target")


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per pair of lines: ``text`` of ``path``, ``target`` of the file beside it.

    ``data.fields`` gives the endings of the two: ``text=en target=de``.

    Raises:
        UserError: if there is no file beside it, or the two have different numbers of lines.
    """
    other = other_side(path, config)
    texts, targets = _lines(path, config), _lines(other, config)
    if len(texts) != len(targets):
        raise UserError(
            f"{path.name} has {len(texts):,} lines and {other.name} {len(targets):,}, so that they are not aligned",
            where=str(path.parent),
            remedy="Line n of one belongs to line n of the other: look for a missing line, or copy both files again.",
        )
    mapping = config.model_copy(update={"fields": {side: side for side in _SIDES if side in config.fields}})
    return [
        make_record(dict(zip(_SIDES, pair, strict=True)), mapping, f"{path}:{number}", f"{path.name}:{number}")
        for number, pair in enumerate(zip(texts, targets, strict=True), 1)
    ]


def other_side(path: Path, config: DataConfig) -> Path:
    """The file of the targets beside the one of the texts, packed or not.

    Raises:
        UserError: if the endings are not given, the file has another one, or none stands beside it.
    """
    endings = {side: [str(name) for name in candidates(config.fields.get(side))] for side in _SIDES}
    if not all(endings.values()):
        raise UserError(
            "the endings of the two aligned files are not given",
            where="data.fields",
            remedy="Set data.fields.text=en data.fields.target=de for train.en and train.de.",
        )
    name = path.name.removesuffix(".gz")
    own = next((ending for ending in endings["text"] if name.endswith(f".{ending}")), None)
    if own is None:
        raise UserError(
            f"{path.name} does not end in .{' or .'.join(endings['text'])}",
            where=str(path),
            remedy="Name the file of the texts, or its ending with data.fields.text=ENDING.",
        )
    stem = name.removesuffix(own)
    wanted = [f"{stem}{ending}{packed}" for ending in endings["target"] for packed in ("", ".gz")]
    for candidate in wanted:
        if (found := path.with_name(candidate)).is_file():
            return found
    raise UserError(
        f"beside {path.name} there is no {' or '.join(wanted)}",
        where=str(path.parent),
        remedy="Put the two files of a split side by side, or name the other ending with data.fields.target=ENDING.",
    )


def with_other_side(files: Sequence[Path], config: DataConfig) -> list[Path]:
    """The files, and with parallel text those that are read along with them."""
    if config.file_format != "parallel":
        return list(files)
    return [side for file in files for side in (file, other_side(file, config))]


def _lines(path: Path, config: DataConfig) -> list[str]:
    return [line.strip() for line in read_text(path, config.encoding).removesuffix("\n").split("\n")]
