"""Knowledge about terms that occur in an example, looked up in a file that the user wrote."""

from collections.abc import Mapping
from pathlib import Path

import regex

from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError
from rag_lightning.template.pairs import read_pairs

# Scripts without spaces between words: each character is a unit, as in the lexicons of the rules.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNIT = regex.compile(rf"[{UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]++|[^\s]", regex.V1)


def read_terms(path: Path) -> dict[str, str]:
    """Term -> text of a JSONL or CSV file (columns ``term`` and ``text``) or a YAML mapping.

    Raises:
        UserError: with file and line, for a missing file, another form, an empty term or text, or a term that
            stands twice.
    """
    terms: dict[str, str] = {}
    for line, term, text in read_pairs(path, (("term", "text"),)):
        where = f"{path}:{line}"
        if not _units(term) or not text.strip():
            raise UserError("a term and its text may not be empty", where=where, remedy="Write both, or neither.")
        if term in terms:
            raise UserError(f"the term {shorten(term)!r} stands here twice", where=where, remedy="Remove one of them.")
        terms[term] = text
    return terms


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
