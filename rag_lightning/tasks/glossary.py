"""Prescribed translations of terms: found in a source by the lexicons of the rules, looked for in what was written."""

import unicodedata
from collections.abc import Mapping

from rag_lightning.errors import UserError
from rag_lightning.rules.lexicons import plural
from rag_lightning.rules.matcher import LexiconMatcher
from rag_lightning.rules.ruleset import Lexicon
from rag_lightning.rules.units import is_boundary, units
from rag_lightning.template.pairs import file_of, read_pairs

_COLUMNS = (("source", "target"),)
_REMEDY = "Give a CSV or JSONL file with the columns source and target, or a YAML file with lines like term: word."


def read_glossary(path: str) -> dict[str, str]:
    """Term -> its translation, of a file of the user's or ``sample:translation/glossary.csv``.

    Raises:
        UserError: with file and line, for a missing file, another form, an empty cell, or a term with two
            translations.
    """
    file = file_of(path)
    if not file.is_file():
        raise UserError("the file of the glossary does not exist", where=f"task.glossary={path}", remedy=_REMEDY)
    terms: dict[str, str] = {}
    try:
        for line, source, target in read_pairs(file, _COLUMNS):
            if not units(source) or not target.strip():
                raise UserError("a term or its translation is empty", where=f"{file}:{line}")
            if terms.setdefault(source.strip(), target.strip()) != target.strip():
                raise UserError(f"the term {source!r} has two translations", where=f"{file}:{line}")
    except UserError as error:
        raise UserError(error.reason, where=error.where, remedy=_REMEDY) from None
    return terms


class Glossary:
    """Finds terms in sources, in time that does not depend on how many terms there are.

    A term in small letters matches any case, others their own and capitals; regular English plurals match too.

    Args:
        terms: term -> translation.
    """

    def __init__(self, terms: Mapping[str, str]) -> None:
        self._terms = list(terms.items())
        self._matcher = LexiconMatcher([Lexicon((term, plural(term))) for term, _ in self._terms])

    def find(self, text: str) -> list[tuple[str, str]]:
        """The terms of a source with their translations, each once, in order; none that stands in a longer one."""
        found = self._matcher.find([unit for unit, _, _ in units(text)])
        outermost = [
            (first, number)
            for number, first, last in found
            if not any(a <= first and last <= b and (a, b) != (first, last) for _, a, b in found)
        ]
        return [self._terms[number] for number in dict.fromkeys(number for _, number in sorted(outermost))]


def obeys(text: str, translation: str) -> bool:
    """Whether a translation stands in a text, at the beginning of a word and whatever the case.

    An ending may follow (*des Kassenwarts*); a plural that changes the stem (*Hähne*) is not recognised.
    """
    text, wanted = (unicodedata.normalize("NFC", each).casefold() for each in (text, translation))
    place = text.find(wanted)
    while place >= 0:
        if is_boundary(text, place):
            return True
        place = text.find(wanted, place + 1)
    return False
