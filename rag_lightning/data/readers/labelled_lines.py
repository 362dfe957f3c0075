"""A label and a text in each line: TREC's ``NUM:dist How far …``, fastText's ``__label__sport …``, ``text@label``."""

import re
from pathlib import Path

from rag_lightning.data.fields import candidates, make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.text import read_text, shorten
from rag_lightning.errors import UserError

_NAMES = {"\t": "tab", " ": "space"}


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per line that is not blank.

    A line is cut once, at ``data.separator`` (tab if every line has one, else space): where the label is column 0 at
    the first one, where the label comes last at the last one. So the text may hold the separator too.

    Raises:
        UserError: a line without separator.
    """
    lines = read_text(path, config.encoding).split("\n")
    rows = [(number, line.strip(" ")) for number, line in enumerate(lines, 1) if line.strip()]
    separator = config.separator or ("\t" if all("\t" in line for _, line in rows) else " ")
    columns = {field: _column(config, field) for field in config.fields if field in ("label", "text")}
    label_comes_first = columns.get("label") == 0 or columns.get("text") in (1, -1)
    mapping = config.model_copy(update={"fields": {field: field for field in columns}})
    records = []
    for number, line in rows:
        first, found, second = line.partition(separator) if label_comes_first else line.rpartition(separator)
        if not found:
            raise UserError(
                f"no {_NAMES.get(separator, separator)} parts label and text in {shorten(line)!r}",
                where=f"{path}:{number}",
                remedy="Correct the line, or set data.separator.",
            )
        label, text = (first, second) if label_comes_first else (second, first)
        row = {"label": label, "text": text.strip()}
        records.append(make_record(row, mapping, f"{path}:{number}", f"{path.name}:{number}"))
    return records


def _column(config: DataConfig, field: str) -> int:
    numbers = [int(name) for name in candidates(config.fields[field]) if re.fullmatch(r"-?\d+", str(name))]
    if not numbers or numbers[0] not in (0, 1, -1):
        raise UserError(
            f"a line has two columns, not {config.fields[field]!r}",
            where=f"data.fields.{field}",
            remedy="Set data.fields.label=0 data.fields.text=1, or 1 and 0 where the label comes last.",
        )
    return numbers[0]
