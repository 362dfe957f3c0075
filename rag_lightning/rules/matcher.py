"""All lexicons of a rule file as one automaton: the time depends on the text, not on how many entries there are.

Aho & Corasick, "Efficient string matching: an aid to bibliographic search", 1975. Entries and text are written with a
separator around every unit, so that a match of the automaton is a match of whole units.
"""

from collections.abc import Sequence
from itertools import accumulate

from ahocorasick_rs import AhoCorasick, MatchKind

from rag_lightning.rules.ruleset import Lexicon
from rag_lightning.rules.units import units

_SEPARATOR = "\x1f"  # a control character, which no unit holds

Match = tuple[int, int, int]  # number of the lexicon, first unit, one after the last


class LexiconMatcher:
    """Finds the entries of several lexicons in one pass (two, if some entries disregard case).

    Args:
        lexicons: a match names them by their place here.
    """

    def __init__(self, lexicons: Sequence[Lexicon]) -> None:
        exact: dict[str, list[int]] = {}
        folded: dict[str, list[int]] = {}
        for number, lexicon in enumerate(lexicons):
            for entry in lexicon.entries:
                parts = [unit for unit, _, _ in units(entry)]
                if lexicon.case == "ignore" or (lexicon.case == "smart" and entry == entry.lower()):
                    _add(folded, [part.casefold() for part in parts], number)
                    continue
                _add(exact, parts, number)
                if lexicon.case == "smart":  # headlines
                    _add(exact, [part.upper() for part in parts], number)
        self._exact = _Automaton(exact) if exact else None
        self._folded = _Automaton(folded) if folded else None

    def find(self, text_units: Sequence[str]) -> list[Match]:
        """Every match, also those within others."""
        if not text_units:
            return []
        found = self._exact.find(text_units) if self._exact else []
        if self._folded:
            found += self._folded.find([unit.casefold() for unit in text_units])
        return found


class _Automaton:
    def __init__(self, lexicons_of: dict[str, list[int]]) -> None:
        self._lexicons = list(lexicons_of.values())
        self._automaton = AhoCorasick(list(lexicons_of), matchkind=MatchKind.Standard)

    def find(self, text_units: Sequence[str]) -> list[Match]:
        matches = self._automaton.find_matches_as_indexes(_written(text_units), overlapping=True)
        if not matches:
            return []
        places = accumulate((len(unit) + 1 for unit in text_units), initial=0)
        unit_at = {place: number for number, place in enumerate(places)}
        return [
            (lexicon, unit_at[start], unit_at[end - 1])
            for entry, start, end in matches
            for lexicon in self._lexicons[entry]
        ]


def _add(entries: dict[str, list[int]], parts: list[str], lexicon: int) -> None:
    if parts:
        owners = entries.setdefault(_written(parts), [])
        if lexicon not in owners[-1:]:  # lexicons come in order
            owners.append(lexicon)


def _written(parts: Sequence[str]) -> str:
    return _SEPARATOR + _SEPARATOR.join(parts) + _SEPARATOR
