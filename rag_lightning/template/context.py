"""Knowledge about terms that occur in an example, looked up in a file that the user wrote."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import regex
import yaml

from rag_lightning.data.text import read_text, shorten
from rag_lightning.errors import UserError, nearest

ENDINGS = (".jsonl", ".csv", ".tsv", ".yaml", ".yml")
COLUMNS = ("term", "text")
# Scripts without spaces between words: each character is a unit, as in the lexicons of the rules.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNIT = regex.compile(rf"[{_UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]++|[^\s]", regex.V1)
_REMEDY = "Give a UTF-8 file with a term and its text in each line, as in docs/templates.md."


def read_terms(path: Path) -> dict[str, str]:
    """Term -> text of a JSONL or CSV file (columns ``term`` and ``text``) or a YAML mapping.

    Raises:
        UserError: with file and line, for a missing file, another form, an empty term or text, or a term that
            stands twice.
    """
    if not path.is_file():
        raise UserError("the file does not exist", where=f"template.context.path={path}", remedy=_REMEDY)
    readers = {".jsonl": _jsonl, ".csv": _csv, ".tsv": _csv, ".yaml": _yaml, ".yml": _yaml}
    if path.suffix not in readers:
        raise UserError(f"the ending of the file must be one of {', '.join(ENDINGS)}", where=str(path), remedy=_REMEDY)
    try:
        content = read_text(path)
    except UserError as error:  # its own remedy speaks of the examples' file
        raise UserError(error.reason, where=error.where, remedy=_REMEDY) from None
    terms: dict[str, str] = {}
    for line, term, text in readers[path.suffix](content, path):
        where = f"{path}:{line}"
        if not _units(term) or not text.strip():
            raise UserError("a term and its text may not be empty", where=where, remedy="Write both, or neither.")
        if term in terms:
            raise UserError(f"the term {shorten(term)!r} stands here twice", where=where, remedy="Remove one of them.")
        terms[term] = text
    return terms


def _jsonl(content: str, path: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"not JSON: {shorten(line)!r}", where=f"{path}:{number}", remedy=_REMEDY) from None
        if not isinstance(item, dict) or not all(isinstance(item.get(name), str) for name in COLUMNS):
            raise UserError(
                'an object like {"term": "…", "text": "…"} is expected', where=f"{path}:{number}", remedy=_REMEDY
            )
        yield number, item["term"], item["text"]


def _csv(content: str, path: Path) -> Iterator[tuple[int, str, str]]:
    reader = csv.reader(io.StringIO(content, newline=""), delimiter="\t" if path.suffix == ".tsv" else ",")
    try:
        names = [name.strip() for name in next(reader)]
        for name in COLUMNS:
            if name not in names:
                close = nearest(name, names)
                raise UserError(
                    f"there is no column {name!r}; there is: {', '.join(names)}",
                    where=f"{path}:1",
                    remedy=f"Call the column {close[0]!r} {name!r}." if close else _REMEDY,
                )
        term, text = names.index("term"), names.index("text")
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(names):
                raise UserError(
                    f"{len(row)} cells where the header has {len(names)}",
                    where=f"{path}:{reader.line_num}",
                    remedy='Put a cell that holds the separator in "quotation marks".',
                )
            yield reader.line_num, row[term], row[text]
    except csv.Error as error:
        raise UserError(f"broken CSV ({error})", where=f"{path}:{reader.line_num}", remedy=_REMEDY) from None


def _yaml(content: str, path: Path) -> Iterator[tuple[int, str, str]]:
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UserError("this is not YAML", where=f"{path}{line}", remedy=_REMEDY) from None
    if not isinstance(root, yaml.MappingNode):
        raise UserError("lines like term: text are expected", where=f"{path}:1", remedy=_REMEDY)
    for key, value in root.value:
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise UserError(
                "a line like term: text is expected", where=f"{path}:{key.start_mark.line + 1}", remedy=_REMEDY
            )
        yield key.start_mark.line + 1, key.value, value.value


class Lookup:
    """Finds terms in texts as whole words, whatever the case, in one pass.

    Args:
        terms: term -> text. Of terms that begin at one place the longest is found.
    """

    def __init__(self, terms: Mapping[str, str]) -> None:
        self._by_first: dict[str, list[tuple[list[str], str]]] = {}
        for term in terms:
            units = _units(term)
            self._by_first.setdefault(units[0], []).append((units, term))
        for candidates in self._by_first.values():
            candidates.sort(key=lambda candidate: -len(candidate[0]))
        self.terms = dict(terms)

    def find(self, text: str, most: int) -> list[str]:
        """The first ``most`` different terms in the order in which they occur."""
        units = _units(text)
        found: dict[str, None] = {}
        place = 0
        while place < len(units) and len(found) < most:
            match = next(
                (
                    each
                    for each in self._by_first.get(units[place], ())
                    if units[place : place + len(each[0])] == each[0]
                ),
                None,
            )
            if match is not None:
                found.setdefault(match[1])
            place += len(match[0]) if match is not None else 1
        return list(found)

    def context(self, text: str, most: int) -> str:
        """``Elbe: a river in Germany. IBM: …`` for the terms in a text; empty if there is none."""
        return " ".join(f"{term}: {self.terms[term]}" for term in self.find(text, most))


def _units(text: str) -> list[str]:
    return _UNIT.findall(text.casefold())
