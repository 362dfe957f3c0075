"""Regular expressions that cannot hang: RE2, whose time is linear in the text for each match.

RE2 (https://github.com/google/re2) has neither lookaround nor backreferences; both are refused with the way to say
it otherwise. Its ``\\w`` and ``\\d`` know ASCII only; they are widened to all scripts.
"""

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import re2

from rag_lightning.rules.units import is_boundary

# The stretches in which a long text is searched. One search is linear, but every match begins another one: a pattern
# that looks far ahead and then takes little would be quadratic in the text.
WINDOW = 10_000
_SHORTER = 8  # how many shorter ends are tried where a match ends inside a word
_WORD, _DIGIT = r"\p{L}\p{M}\p{N}_", r"\p{Nd}"
_REFUSED = (
    (r"\(\?<?[=!]", "lookaround is not possible in a linear-time pattern",
     "Name the part that counts, as in 'at (?P<ORG>\\w+)', or use when and unless with preceded_by, followed_by."),
    (r"\\[1-9]|\(\?P=|\\k<", "a backreference is not possible in a linear-time pattern",
     "Write out what may be repeated."),
    (r"\(\?>|[*+?]\+|\{\d+(?:,\d*)?\}\+", 
     "atomic groups and possessive quantifiers are not needed: no pattern can backtrack",
     "Write (?:…) and a plain quantifier."),
    (r"\(\?\(", "a conditional group is not possible in a linear-time pattern", "Write two rules."),
    (r"\\Z", "the end of the text is written \\z here, not \\Z", "Write \\z or $."),
)  # fmt: skip


class PatternMistake(Exception):
    """A pattern that cannot be used: the reason and what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class Haystack:
    """A text as RE2 wants it, made once for all patterns."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.bytes = text.encode("utf-8", "surrogatepass")
        self._starts: list[int] | None = None  # byte at which each character starts
        self._numbers: dict[int, int] = {}
        if not text.isascii():
            sizes = (len(character.encode("utf-8", "surrogatepass")) for character in text)
            self._starts = list(accumulate(sizes, initial=0))
            self._numbers = {byte: number for number, byte in enumerate(self._starts)}

    def byte(self, character: int) -> int:
        """The byte at which a character starts."""
        return character if self._starts is None else self._starts[character]

    def character(self, byte: int) -> int | None:
        """The character that starts at a byte; None inside of one."""
        return byte if self._starts is None else self._numbers.get(byte)


class Pattern:
    """A compiled pattern.

    Args:
        source: as the file has it.
        ignore_case: capitals and small letters are the same.
        whole_words: a match (and each group) begins and ends where words do.

    Raises:
        PatternMistake: syntax that RE2 does not have, or a pattern too large.
    """

    def __init__(self, source: str, *, ignore_case: bool = False, whole_words: bool = True) -> None:
        _refuse(source)
        options = re2.Options()
        options.log_errors = False
        options.case_sensitive = not ignore_case
        translated = _widened(source)
        if whole_words:  # implied, and RE2's own \b knows ASCII only
            translated = re.sub(r"^\\b|(?<!\\)\\b$", "", translated)
        try:
            self._compiled = re2.compile(translated, options=options)
        except re2.error as error:
            raise PatternMistake(_sentence(error), "Correct the pattern; `python -m rag_lightning.rules try` shows "
                                 "what one finds.") from None  # fmt: skip
        self._whole_words = whole_words
        self._numbers: dict[str, int] = dict(self._compiled.groupindex)
        self.groups = tuple(self._numbers)

    def search(self, haystack: Haystack) -> Iterator[dict[str, tuple[int, int]]]:
        """Non-overlapping matches from left to right: group -> characters; the whole match is the group ``""``.

        Empty matches, and groups that took no part, are left out.
        """
        for first, last in _windows(haystack.text):
            place, end = first, haystack.byte(last)
            while place < last:
                match = self._compiled.search(haystack.bytes, haystack.byte(place), end)
                if match is None:
                    break
                span = _characters(haystack, match.span())
                if span is not None and not self._is_whole(haystack, span):
                    other = self._to_the_words_end(haystack, span) or self._in_whole_words(haystack, span)
                    match, span = other if other is not None else (match, None)
                if span is None or span[0] == span[1]:
                    place = self._next_place(haystack, match.span())
                    continue
                yield {"": span, **self._named(haystack, match)}
                place = span[1]

    def _is_whole(self, haystack: Haystack, span: tuple[int, int]) -> bool:
        return not self._whole_words or all(is_boundary(haystack.text, place) for place in span)

    def _to_the_words_end(self, haystack: Haystack, span: tuple[int, int]) -> tuple[Any, tuple[int, int]] | None:
        """The match that ends where the word does: of ``who|whose`` RE2 takes the first one that fits."""
        start, end = span
        if not is_boundary(haystack.text, start):
            return None
        while not is_boundary(haystack.text, end):
            end += 1
        match = self._compiled.fullmatch(haystack.bytes, haystack.byte(start), haystack.byte(end))
        return None if match is None else (match, (start, end))

    def _in_whole_words(self, haystack: Haystack, span: tuple[int, int]) -> tuple[Any, tuple[int, int]] | None:
        """A shorter match from the same place that ends where a word does."""
        start, end = span
        if not is_boundary(haystack.text, start):
            return None
        limit, tries = end, 0
        while tries < _SHORTER and limit > start:
            match = self._compiled.match(haystack.bytes, haystack.byte(start), haystack.byte(limit))
            found = _characters(haystack, match.span()) if match is not None else None
            if found is None or found[0] == found[1]:
                return None
            if is_boundary(haystack.text, found[1]):
                return match, found
            limit = found[1] - 1
            while limit > start and not is_boundary(haystack.text, limit):
                limit -= 1
            tries += 1
        return None

    def _named(self, haystack: Haystack, match: Any) -> dict[str, tuple[int, int]]:
        named = {}
        for group, number in self._numbers.items():
            span = _characters(haystack, match.span(number))
            if span is None or span[0] == span[1]:
                continue
            if self._is_whole(haystack, span):
                named[group] = span
        return named

    def _next_place(self, haystack: Haystack, span: tuple[int, int]) -> int:
        """Where to go on after a match that does not count."""
        start = span[0]
        while haystack.character(start) is None:
            start -= 1
        place = (haystack.character(start) or 0) + 1
        while self._whole_words and not is_boundary(haystack.text, place):
            place += 1
        return place


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """The text in stretches of at most WINDOW characters, cut after white space where there is any."""
    first = 0
    while len(text) - first > WINDOW:
        last = first + WINDOW
        cut = max(text.rfind(" ", first, last), text.rfind("\n", first, last))
        last = cut + 1 if cut > first else last
        yield first, last
        first = last
    yield first, len(text)


def _characters(haystack: Haystack, span: tuple[int, int]) -> tuple[int, int] | None:
    if span[0] < 0:
        return None
    start, end = haystack.character(span[0]), haystack.character(span[1])
    return None if start is None or end is None else (start, end)


def _refuse(source: str) -> None:
    plain = _without_classes(source)
    for form, reason, remedy in _REFUSED:
        if re.search(rf"(?<!\\)(?:\\\\)*(?:{form})", plain):
            raise PatternMistake(reason, remedy)
    names = re.findall(r"(?<!\\)\(\?P?<(\w+)>", plain)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise PatternMistake(f"the group {twice!r} stands twice", "Write two rules, or one group around both.")


def _without_classes(source: str) -> str:
    """The pattern with the insides of [classes] taken out, where nothing is special."""
    return "".join(piece for piece, inside in _pieces(source) if not inside)


def _widened(source: str) -> str:
    """``\\w \\d \\s`` for all scripts; negated ones inside a class stay as RE2 has them."""
    parts = []
    for piece, inside in _pieces(source):
        if piece in (r"\w", r"\d"):
            wide = _WORD if piece == r"\w" else _DIGIT
            parts.append(wide if inside else f"[{wide}]")
        elif piece in (r"\W", r"\D") and not inside:
            parts.append(f"[^{_WORD if piece == chr(92) + 'W' else _DIGIT}]")
        elif piece == r"\s":
            parts.append(r"\s\p{Z}" if inside else r"[\s\p{Z}]")
        else:
            parts.append(piece)
    return "".join(parts)


def _pieces(source: str) -> Iterator[tuple[str, bool]]:
    """Characters and escapes of a pattern, and whether each stands inside a class (its brackets stand outside)."""
    place, inside, just_opened = 0, False, False
    while place < len(source):
        piece = source[place : place + 2] if source[place] == "\\" else source[place]
        place += len(piece)
        if inside and source.startswith("[:", place - 1) and (close := source.find(":]", place)) > 0:
            piece, place = source[place - 1 : close + 2], close + 2  # a POSIX class
        elif inside and piece == "]" and not just_opened:
            inside = False
        elif not inside and piece == "[":
            yield piece, False
            inside = just_opened = True
            if source.startswith("^", place):
                yield "^", True
                place += 1
            continue
        just_opened = False
        yield piece, inside


def _sentence(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return f"the pattern cannot be read ({said})"
