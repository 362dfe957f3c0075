"""From a lexicon's description to its final entries."""

import csv
import io
from pathlib import Path

from rag_lightning.data.text import read_text
from rag_lightning.errors import UserError, nearest
from rag_lightning.rules.packages import package_words
from rag_lightning.rules.ruleset import Lexicon
from rag_lightning.rules.schema import LexiconSpec
from rag_lightning.rules.units import units

_SEPARATORS = ",\t;|"
_VOWELS = "aeiou"


def read_lexicon(spec: LexiconSpec, folder: Path, where: str) -> Lexicon:
    """The lexicon with its entries read, filtered, inflected and sorted.

    Args:
        folder: that file names are relative to: the rule file's.
        where: the place of the lexicon in the rule file, for messages.

    Raises:
        UserError: not exactly one source, a file that is missing or cannot be read, or no entry left.
    """
    words = [word.strip() for word in _read(spec, folder, where)]
    left_out = {word.casefold() for word in spec.except_}
    kept = [w for w in words if len(w) >= spec.min_length and w.casefold() not in left_out and units(w)]
    if not kept:
        raise UserError("the lexicon has no entry", where=where, remedy="Give it words, or take it out.")
    if "plural" in spec.inflect:
        kept += [plural(word) for word in kept]
    return Lexicon(tuple(sorted(set(kept))), spec.case, "possessive" in spec.inflect)


def plural(word: str) -> str:
    """The regular English plural of the last word: *city, box, Ford* -> *cities, boxes, Fords*."""
    lower = word.lower()
    if not lower[-1:].isalpha():
        return word
    if lower.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if lower.endswith("y") and lower[-2:-1] not in _VOWELS and word[-1] == "y" and not word[0].isupper():
        return f"{word[:-1]}ies"
    return f"{word}s"


def _read(spec: LexiconSpec, folder: Path, where: str) -> list[str]:
    sources = [name for name in ("words", "file", "csv", "package") if getattr(spec, name) is not None]
    if len(sources) != 1:
        given = f"has {' and '.join(sources)}" if sources else "says nowhere where its words come from"
        raise UserError(
            f"the lexicon {given}", where=where, remedy="Give it one of: words, file, csv (with column), package."
        )
    for option, source in (("column", "csv"), ("min_population", "package"), ("top", "package")):
        if getattr(spec, option) is not None and sources != [source]:
            raise UserError(f"{option} belongs to {source}", where=where, remedy=f"Take {option} out.")
    if spec.words is not None:
        return list(spec.words)
    if spec.package is not None:
        return package_words(spec.package, spec.min_population or 15_000, where)[: spec.top]
    path = _existing(folder, str(spec.file or spec.csv), where)
    return _lines(path) if spec.file is not None else _column(path, spec.column)


def _existing(folder: Path, name: str, where: str) -> Path:
    path = folder / Path(name).expanduser()
    if path.is_file():
        return path
    there = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
    close = nearest(path.name, there)
    remedy = f"Did you mean {Path(name).parent / close[0]}?" if close else "File names are relative to the rule file."
    raise UserError(f"there is no file {path}", where=where, remedy=remedy)


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except UserError as mistake:
        raise UserError(mistake.reason, where=mistake.where, remedy="Save it as UTF-8 text with entries.") from None


def _lines(path: Path) -> list[str]:
    lines = (line.strip() for line in _text(path).split("\n"))
    return [line for line in lines if line and not line.startswith("# ")]


def _column(path: Path, column: str | None) -> list[str]:
    text = _text(path)
    first = next(line for line in text.split("\n") if line.strip())
    separator = max(_SEPARATORS, key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise UserError(f"this is no CSV ({error})", where=str(path), remedy="Correct the quotation marks.") from None
    names = [name.strip() for name in rows[0]]
    if column is not None and column not in names:
        close = nearest(column, names)
        remedy = f"Did you mean {close[0]}? " if close else ""
        raise UserError(
            f"there is no column {column!r}", where=f"{path}:1", remedy=f"{remedy}There are: {', '.join(names)}."
        )
    number = names.index(column) if column is not None else 0
    return [row[number].strip() for row in rows[1:] if len(row) > number and row[number].strip()]
