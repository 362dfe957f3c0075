"""CoNLL columns: one token a line, columns between tabs or spaces, a blank line between sentences."""

import re
from collections import Counter
from pathlib import Path

from rag_lightning.data.fields import candidates, make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.text import read_text, shorten
from rag_lightning.errors import UserError

_DOCUMENT = "-DOCSTART-"
_BLANK = " \t"
_TAG = re.compile(r"O|[BIESMLUW]-.+")
_PROBE = 200  # lines that decide on separator and number of columns


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per sentence; its ``source`` is the line of the first token.

    Only tab and space part columns, never other white space of Unicode: a token may be U+00A0 or U+3000, and with
    tabs it may be empty. ``-DOCSTART-`` lines are skipped, and so are comments (``# ...`` before a sentence).

    Raises:
        UserError: a line with another number of columns, mixed separators, a missing tag, no sentence at all.
    """
    lines = read_text(path, config.encoding).split("\n")
    probe = [line for line in lines if _is_row(line)][:_PROBE]
    if not probe:
        raise UserError("the file holds no sentence", where=str(path), remedy="Choose another file with data.path.")
    with_tab = sum("\t" in line for line in probe)
    separator = config.separator or ("\t" if with_tab > 0 and 2 * with_tab >= len(probe) else " ")
    counts = Counter(len(_squeeze(line, separator)) for line in probe)
    n_columns = counts.most_common(1)[0][0]
    columns = _columns(config, n_columns, str(path))
    known_tags = _known_tags(lines, separator, columns)
    mapping = config.model_copy(update={"fields": {field: field for field in columns}})

    records: list[Record] = []
    sentence: dict[str, list[str]] = {field: [] for field in columns}
    start = 0

    def close() -> None:
        if start:
            records.append(make_record(sentence, mapping, f"{path}:{start}", f"{path.name}:{start}"))

    for number, line in enumerate(lines, 1):
        if not line.strip(_BLANK) or line.startswith(_DOCUMENT):
            close()
            sentence, start = {field: [] for field in columns}, 0
            continue
        if line.startswith("#") and not start and _is_comment(line, separator, n_columns, columns, known_tags):
            continue
        cells = line.split(separator)
        if len(cells) != n_columns or not cells[-1]:
            cells = _other_cells(line, cells, separator, n_columns, f"{path}:{number}")
        start = start or number
        for field, column in columns.items():
            cell = cells[column].strip(" ")
            if not cell and field != "tokens":
                raise UserError(
                    f"the token {shorten(cells[columns['tokens']])!r} has no {field.removesuffix('s')}",
                    where=f"{path}:{number}",
                    remedy="Write O where a token belongs to no entity.",
                )
            sentence[field].append(cell)
    close()
    return records


def _is_row(line: str) -> bool:
    return bool(line.strip(_BLANK)) and not line.startswith((_DOCUMENT, "# "))


def _squeeze(line: str, separator: str) -> list[str]:
    """Cells of a line whose columns are aligned with several spaces."""
    cells = line.split(separator)
    return [cell for cell in cells if cell] if separator == " " else cells


def _columns(config: DataConfig, n_columns: int, where: str) -> dict[str, int]:
    """Task field -> column, counted from 0."""
    columns = {}
    for field, source in config.fields.items():
        numbers = [int(name) for name in candidates(source) if re.fullmatch(r"-?\d+", str(name))]
        if source is None or (not numbers and field not in ("tokens", "tags")):
            continue
        if not numbers:
            raise UserError(
                f"columns of a CoNLL file have numbers, not names like {source!r}",
                where=f"data.fields.{field}",
                remedy=f"Set data.fields.{field}=0 for the first column, -1 for the last.",
            )
        if not -n_columns <= numbers[0] < n_columns:
            raise UserError(
                f"data.fields.{field}={numbers[0]}, but the rows have {n_columns} columns",
                where=where,
                remedy=f"Choose 0 to {n_columns - 1}, or set data.separator for columns parted by another character.",
            )
        columns[field] = numbers[0] % n_columns
    if "tokens" not in columns:
        raise UserError("no column is given for the tokens", where="data.fields.tokens", remedy="Set it to 0.")
    if columns.get("tags") == columns["tokens"]:
        raise UserError(
            f"tokens and tags are both column {columns['tokens']} of {n_columns}",
            where=where,
            remedy="Set data.fields.tags to the tags' column (null = no tags), or data.separator=comma|tab|space.",
        )
    return columns


def _known_tags(lines: list[str], separator: str, columns: dict[str, int]) -> set[str]:
    """The tags of the rows that are no comment for certain; needed only where a comment looks like a row."""
    if "tags" not in columns or not any(line.startswith("# ") for line in lines):
        return set()
    rows = (_squeeze(line, separator) for line in lines if _is_row(line))
    return {cells[columns["tags"]] for cells in rows if len(cells) > columns["tags"]}


def _is_comment(line: str, separator: str, n_columns: int, columns: dict[str, int], known_tags: set[str]) -> bool:
    """Whether a line that begins with # before a sentence is a comment; ``#`` and ``#tag`` are tokens too."""
    if columns["tokens"] != 0:
        return True
    cells = _squeeze(line, separator)
    if len(cells) != n_columns:
        return line.startswith(("# ", "##"))
    tag = cells[columns["tags"]] if "tags" in columns else ""
    return line.startswith("# ") and "tags" in columns and not _TAG.fullmatch(tag) and tag not in known_tags


def _other_cells(line: str, cells: list[str], separator: str, n_columns: int, where: str) -> list[str]:
    """The cells of a line with several spaces between columns, or the error."""
    cells = _squeeze(line, separator)
    if len(cells) == n_columns:
        return cells
    if separator in "\t " and len(re.split("[ \t]+", line.strip(_BLANK))) == n_columns and "\t" in line + separator:
        raise UserError(
            f"this line parts its columns with {'spaces' if separator == chr(9) else 'tabs'}, "
            f"other lines with {'tabs' if separator == chr(9) else 'spaces'}",
            where=where,
            remedy="Use one of the two in the whole file.",
        )
    long = f" (the line has {len(line):,} characters; is a line end missing?)" if len(line) > 1000 else ""
    name = {"\t": "tab", " ": "space"}.get(separator, separator)
    raise UserError(
        f"{len(cells)} column{'' if len(cells) == 1 else 's'} where other lines have {n_columns}: "
        f"{shorten(line)!r}{long}",
        where=where,
        remedy=f"Put {n_columns} columns parted by a {name} in every line, and a blank line between sentences.",
    )
