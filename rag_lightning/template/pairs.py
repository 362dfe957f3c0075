"""Files with two texts an entry, such as a term and what it means: JSONL, CSV or YAML, mistakes told by their line."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rag_lightning.data.text import read_text, shorten
from rag_lightning.errors import UserError, nearest

ENDINGS = (".jsonl", ".csv", ".tsv", ".yaml", ".yml")
SAMPLE = "sample:"  # before the place of a file among the embedded samples
Forms = Sequence[tuple[str, str]]  # names that the two texts may have; the first of them in messages
_KEY = "template.context.path"
_REMEDY = "Give a UTF-8 file with a term and its text in each line, as in docs/templates.md."


class Pair(NamedTuple):
    """Two texts and the line where they stand."""

    line: int
    first: str
    second: str


def file_of(path: str) -> Path:
    """The file that a setting means: a path of the user's, or ``sample:dialogue/knowledge.jsonl``."""
    if not path.startswith(SAMPLE):
        return Path(path).expanduser()
    with as_file(files("rag_lightning.data") / "samples") as samples:
        return samples / path.removeprefix(SAMPLE)


def read_pairs(path: Path, forms: Forms) -> Iterator[Pair]:
    """The entries of a JSONL or CSV file with named columns, or of a YAML mapping.

    Args:
        path: the file.
        forms: pairs of names, the first that an entry (or the header of a table) has is read; a first name of ""
            means that there may be the second text alone.

    Raises:
        UserError: with file and line, for a missing file, another form, or an empty text.
    """
    if not path.is_file():
        raise UserError("the file does not exist", where=f"{_KEY}={path}", remedy=_REMEDY)
    readers = {".jsonl": _jsonl, ".csv": _csv, ".tsv": _csv, ".yaml": _yaml, ".yml": _yaml}
    if path.suffix not in readers:
        raise UserError(f"the ending of the file must be one of {', '.join(ENDINGS)}", where=str(path), remedy=_REMEDY)
    try:
        content = read_text(path)
    except UserError as error:  # its own remedy speaks of the examples' file
        raise UserError(error.reason, where=error.where, remedy=_REMEDY) from None
    yield from readers[path.suffix](content, path, forms)


def _jsonl(content: str, path: Path, forms: Forms) -> Iterator[Pair]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"not JSON: {shorten(line)!r}", where=f"{path}:{number}", remedy=_REMEDY) from None
        yield Pair(number, *_of_object(item, f"{path}:{number}", forms))


def _of_object(item: Any, where: str, forms: Forms) -> tuple[str, str]:
    for first, second in forms:
        names = [name for name in (first, second) if name]
        if isinstance(item, dict) and all(isinstance(item.get(name), str) for name in names):
            return item[first] if first else "", item[second]
    first, second = forms[0]
    raise UserError(f'an object like {{"{first}": "…", "{second}": "…"}} is expected', where=where, remedy=_REMEDY)


def _csv(content: str, path: Path, forms: Forms) -> Iterator[Pair]:
    reader = csv.reader(io.StringIO(content, newline=""), delimiter="\t" if path.suffix == ".tsv" else ",")
    try:
        names = [name.strip() for name in next(reader)]
        first, second = _columns(names, path, forms)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(names):
                raise UserError(
                    f"{len(row)} cells where the header has {len(names)}",
                    where=f"{path}:{reader.line_num}",
                    remedy='Put a cell that holds the separator in "quotation marks".',
                )
            yield Pair(reader.line_num, "" if first is None else row[first], row[second])
    except csv.Error as error:
        raise UserError(f"broken CSV ({error})", where=f"{path}:{reader.line_num}", remedy=_REMEDY) from None


def _columns(names: list[str], path: Path, forms: Forms) -> tuple[int | None, int]:
    """The places of the two columns."""
    for first, second in forms:
        if second in names and (first in names or not first):
            return names.index(first) if first else None, names.index(second)
    absent = next(name for name in forms[0] if name not in names)
    close = nearest(absent, names)
    raise UserError(
        f"there is no column {absent!r}; there is: {', '.join(names)}",
        where=f"{path}:1",
        remedy=f"Call the column {close[0]!r} {absent!r}." if close else _REMEDY,
    )


def _yaml(content: str, path: Path, forms: Forms) -> Iterator[Pair]:
    first, second = forms[0]
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UserError("this is not YAML", where=f"{path}{line}", remedy=_REMEDY) from None
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"lines like {first}: {second} are expected", where=f"{path}:1", remedy=_REMEDY)
    for key, value in root.value:
        line_number = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise UserError(f"a line like {first}: {second} is expected", where=f"{path}:{line_number}", remedy=_REMEDY)
        yield Pair(line_number, key.value, value.value)
