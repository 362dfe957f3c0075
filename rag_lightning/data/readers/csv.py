"""CSV and TSV: an example a row, or a token a row with ``data.group_by``."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag_lightning.data.fields import candidates, make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.text import read_text, shorten
from rag_lightning.errors import UserError, nearest

_SEPARATORS = ",\t;|"
Row = tuple[int, list[str]]


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per row, or per run of rows that share the column ``data.group_by`` (an empty cell there means:
    as above). A list in a cell is JSON, or words between spaces.

    Raises:
        UserError: a row with another number of cells, an unknown column, an open quotation mark, rows of one group
            that stand apart.
    """
    text = read_text(path, config.encoding)
    separator = config.separator or _separator(text)
    quoting = config.quoting if config.quoting is not None else _is_quoted(text, separator)
    rows = list(_rows(text, separator, quoting, path))
    names: list[str] = []
    if config.header and rows:
        names = [name.strip() for name in rows.pop(0)[1]]
        _check_header(names, config, separator, path)
    if not rows:
        raise UserError("the file holds no row of data", where=str(path), remedy="Choose another file with data.path.")
    width = len(names) or (min(len(cells) for _, cells in rows) if config.ragged else len(rows[0][1]))
    for line, cells in rows:
        if len(cells) != width and not (config.ragged and len(cells) > width):
            raise _wrong_width(cells, width, f"{path}:{line}", separator, quoting)
    rows = [(line, cells[:width]) for line, cells in rows]
    if config.group_by is not None:
        return _grouped(rows, names, config, path)
    records = [
        make_record(_as_mapping(cells, names), config, f"{path}:{line}", f"{path.name}:{line}") for line, cells in rows
    ]
    _refuse_single_words(records, names, path)
    return records


def _separator(text: str) -> str:
    """The character that stands most often in the first line."""
    first = next(line for line in text.split("\n") if line.strip())
    return max(_SEPARATORS, key=first.count)


def _is_quoted(text: str, separator: str) -> bool:
    """Tab-separated files are mostly written without quoting, and then ``"`` is a token like any other."""
    if separator != "\t":
        return True
    cells = (cell for line in text.split("\n") for cell in line.split("\t") if cell.startswith('"'))
    found = False
    for cell in cells:
        inner = cell[1:-1]
        if len(cell) < 2 or not cell.endswith('"') or '"' in inner.replace('""', ""):
            return False
        found = True
    return found


def _rows(text: str, separator: str, quoting: bool, path: Path) -> Iterator[Row]:
    """Rows with the line on which each begins; blank lines are left out."""
    limit = csv.field_size_limit(max(len(text) + 1, csv.field_size_limit()))
    lines = io.StringIO(text, newline="")
    reader = csv.reader(
        lines, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE, strict=True
    )
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip(" ") for cell in cells):
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"the quotation marks do not fit ({error})",
            where=f"{path}:{begin}",
            remedy='Close the mark (inside a cell write "" for "), or set data.quoting=false.',
        ) from None
    finally:
        csv.field_size_limit(limit)


def _check_header(names: Sequence[str], config: DataConfig, separator: str, path: Path) -> None:
    where = f"{path}:1"
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"the column {twice!r} stands twice in the header", where=where, remedy="Rename one of them.")
    if isinstance(config.group_by, str) and config.group_by not in names:
        close = nearest(config.group_by, list(names))
        raise UserError(
            f"there is no column {config.group_by!r}; there is: {', '.join(names)}",
            where=where,
            remedy=f"Did you mean data.group_by='{close[0]}'?" if close else "Set data.group_by to one of these.",
        )
    labels = [name for field in ("tags", "label") for name in candidates(config.fields.get(field))]
    if len(names) == 1 and separator not in names[0] and labels:
        raise UserError(
            f"the header has one column only, {shorten(names[0])!r}",
            where=where,
            remedy="Set data.separator (tab, comma, semicolon, pipe or a character).",
        )


def _wrong_width(cells: Sequence[str], width: int, where: str, separator: str, quoting: bool) -> UserError:
    name = {"\t": "tab", ",": "comma", ";": "semicolon"}.get(separator, separator)
    if any("\n" in cell for cell in cells):
        remedy = 'A quotation mark may not be closed: write "" for a " in a cell, or set data.quoting=false.'
    elif len(cells) > width and not quoting:
        remedy = f"If cells with a {name} stand in quotation marks, set data.quoting=true."
    else:
        remedy = f'Put a cell that holds a {name} in "quotation marks", or correct the row.'
    shown = shorten(separator.join(cells))
    return UserError(
        f"{len(cells)} cell{'' if len(cells) == 1 else 's'} where the header or first row has {width}: {shown!r}",
        where=where,
        remedy=remedy,
    )


def _as_mapping(cells: Sequence[str], names: Sequence[str]) -> dict[int | str, str]:
    """Cells by name and by number, also counted from the end."""
    row: dict[int | str, str] = dict(zip(names, cells, strict=True)) if names else {}
    for number, cell in enumerate(cells):
        row[number] = row[number - len(cells)] = cell
    return row


def _grouped(rows: Sequence[Row], names: Sequence[str], config: DataConfig, path: Path) -> list[Record]:
    """Rows of one token each, put together to examples."""
    width = len(rows[0][1])
    column = names.index(config.group_by) if isinstance(config.group_by, str) and names else config.group_by
    if not isinstance(column, int) or not -width <= column < width:
        raise UserError(
            f"the column {config.group_by!r} is not there, a row has {width} cells",
            where=f"{path}:{rows[0][0]}",
            remedy=f"Set data.group_by to a number from 0 to {width - 1}.",
        )
    sources = {field: _token_column(field, names, width, config, path) for field in ("tokens", "tags")}
    mapping = config.model_copy(update={"fields": {**{f: f for f, c in sources.items() if c is not None}, "id": "id"}})
    groups: dict[str, tuple[int, dict[str, list[str]]]] = {}
    current = None
    for line, cells in rows:
        group = cells[column].strip()
        if current is None or (group and group != current):
            if group in groups:
                raise UserError(
                    f"the group {shorten(group)!r} goes on here after another one; it began at line {groups[group][0]}",
                    where=f"{path}:{line}",
                    remedy=f"Sort the rows by {config.group_by}, or give each example a group of its own.",
                )
            current = group
            groups[group] = (line, {field: [] for field, found in sources.items() if found is not None})
        for field, number in sources.items():
            if number is not None:
                groups[current][1][field].append(_token_cell(cells[number], field, f"{path}:{line}"))
    return [
        make_record({**lists, "id": group}, mapping, f"{path}:{line}", f"{path.name}:{line}")
        for group, (line, lists) in groups.items()
    ]


def _token_column(field: str, names: Sequence[str], width: int, config: DataConfig, path: Path) -> int | None:
    wanted = candidates(config.fields.get(field))
    for name in wanted:
        if name in names:
            return names.index(str(name))
        if isinstance(name, int) and -width <= name < width:
            return name
    if not wanted and field == "tags":
        return None
    make_record(dict.fromkeys(names or range(width), ""), config, f"{path}:1", "")
    raise UserError(f"no column is given for the {field}", where=f"data.fields.{field}", remedy="Name the column.")


def _token_cell(cell: str, field: str, where: str) -> str:
    if "\n" in cell:
        raise UserError(
            f"a cell of the {field} goes over {cell.count(chr(10)) + 1} lines, so a quotation mark was not closed",
            where=where,
            remedy='Write "" for a " in a cell, or set data.quoting=false.',
        )
    cell = cell.strip(" ")
    if not cell and field == "tags":
        raise UserError("the tag is empty", where=where, remedy="Write O where a token belongs to no entity.")
    return cell


def _refuse_single_words(records: Sequence[Record], names: Sequence[str], path: Path) -> None:
    """A token a row without ``group_by`` would become sentences of one word."""
    if len(records) > 1 and all(len(record.get("tokens", ())) == 1 for record in records):
        columns = f" The columns are: {', '.join(names)}." if names else ""
        raise UserError(
            "each row holds one token, and nothing says which rows make a sentence",
            where=str(path),
            remedy=f"Set data.group_by to the column that numbers the sentences.{columns}",
        )
