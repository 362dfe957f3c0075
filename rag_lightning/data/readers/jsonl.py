"""JSON lines: one object a line. A file that is one JSON list of objects is read too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag_lightning.data.fields import make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.text import read_text, shorten
from rag_lightning.errors import UserError


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per object.

    Raises:
        UserError: broken JSON, a missing field, a field of the wrong type, tokens and tags of different lengths.
    """
    text = read_text(path, config.encoding)
    objects = _of_list(text, path) if text.lstrip().startswith("[") else _of_lines(text, path)
    records = []
    for place, item in objects:
        if not isinstance(item, dict):
            raise UserError(
                f"an object like {_example(config)} is expected, not {shorten(json.dumps(item), 40)}",
                where=f"{path}:{place}",
                remedy="Write one object a line.",
            )
        records.append(make_record(item, config, f"{path}:{place}", f"{path.name}:{place}"))
    if not records:
        raise UserError("the file holds no object", where=str(path), remedy="Choose another file with data.path.")
    return records


def _example(config: DataConfig) -> str:
    return "{" + ", ".join(f'"{field}": …' for field in list(config.fields)[:2]) + "}"


def _of_lines(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield str(number), json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _broken(error, f"{path}:{number}", line) from None


def _of_list(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    try:
        items = json.loads(text)
    except json.JSONDecodeError as error:
        raise _broken(error, f"{path}:{error.lineno}", text.split("\n")[error.lineno - 1]) from None
    except RecursionError as error:
        raise _broken(error, str(path), text) from None
    for position, item in enumerate(items, 1):
        yield f"item {position}", item


def _broken(error: Exception, where: str, line: str) -> UserError:
    place = f" at character {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
    reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
    return UserError(
        f"this is not JSON: {reason}{place} of {shorten(line)!r}",
        where=where,
        remedy="Write one complete JSON object a line (data=csv or data=conll for other formats).",
    )
