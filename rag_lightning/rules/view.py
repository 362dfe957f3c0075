"""An example as rules see it: a text, its words, its units; the same for running text and for tokens."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache

from rag_lightning.rules.units import Unit, is_unspaced, units
from rag_lightning.tasks.spans import words_with_offsets

Span = tuple[int, int]  # characters of the view's text, end exclusive

# What may be left of a token behind an entry of a lexicon.
POINT = (".",)  # Inc.
POSSESSIVE = ("'s", "’s", "'S", "’S", "'", "’", *POINT)
_ENDS = frozenset((".", "!", "?", "…", "...", "。", "！", "？", "؟", "।", "॥"))
_OPENERS = frozenset(("``", "--", *"\"'“„«‘「『([{（《-—–•*"))
_PAIRS = {"“": "”", "„": "“”", "«": "»", "»": "«", "「": "」", "『": "』", "``": ("''", '"'), "《": "》"}


@lru_cache(maxsize=65_536)
def _token_units(token: str) -> list[Unit]:
    return units(token)


def _are_characters(tokens: Sequence[str]) -> bool:
    return all(len(token) == 1 for token in tokens) and any(is_unspaced(token) for token in tokens)


class View:
    """A text with its words and units.

    Attributes:
        text: the text; tokens are joined by spaces, but not between characters of scripts without spaces, nor where
            each token is one character (then N B A is NBA).
        words: the tokens, or the words of a running text.
        starts, ends: the characters at which each word starts and ends.
        of_tokens: hits count in tokens and must cover whole ones.
    """

    def __init__(self, text: str, words: Sequence[str], starts: list[int], *, of_tokens: bool, parts: list[Unit]):
        self.text = text
        self.words = words
        self.starts = starts
        self.ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
        self.of_tokens = of_tokens
        self.units = [unit for unit, _, _ in parts]
        self._parts = parts

    @classmethod
    def of_text(cls, text: str) -> "View":
        """A running text."""
        words = words_with_offsets(text)
        return cls(text, [w for w, _, _ in words], [s for _, s, _ in words], of_tokens=False, parts=units(text))

    @classmethod
    def of(cls, tokens: Sequence[str]) -> "View":
        """Tokens; those that are single characters of a script without spaces stand together as they were written."""
        if _are_characters(tokens):
            text = "".join(tokens)
            return cls(text, tokens, list(range(len(text))), of_tokens=True, parts=units(text))
        length, before = 0, ""
        starts: list[int] = []
        pieces: list[str] = []
        parts: list[Unit] = []
        for token in tokens:
            if pieces and not (token and before and is_unspaced(token[0]) and is_unspaced(before[-1])):
                pieces.append(" ")
                length += 1
            starts.append(length)
            parts += [(unit, length + start, length + end) for unit, start, end in _token_units(token)]
            pieces.append(token)
            length += len(token)
            before = token
        return cls("".join(pieces), tokens, starts, of_tokens=True, parts=parts)

    def span_of_units(self, first: int, last: int) -> Span:
        """The characters of the units from ``first`` to before ``last``."""
        return self._parts[first][1], self._parts[last - 1][2]

    def words_of(self, span: Span) -> tuple[int, int]:
        """The words that a stretch touches: the first, and one after the last."""
        return bisect_right(self.ends, span[0]), bisect_left(self.starts, span[1])

    def aligned(self, span: Span, *, rests: tuple[str, ...] = ()) -> Span | None:
        """The stretch if it may be a hit: in tokens it must cover whole ones, but for one of ``rests`` at its end."""
        if not self.of_tokens:
            return span
        first, last = self.words_of(span)
        if first >= last or self.starts[first] != span[0]:
            return None
        rest = self.text[span[1] : self.ends[last - 1]]
        if rest and rest not in rests:
            return None
        return span[0], self.ends[last - 1]

    def position(self, span: Span) -> tuple[int, int]:
        """The stretch as records count it: in tokens, or in characters."""
        return self.words_of(span) if self.of_tokens else span

    def line_ends_between(self, word: int, after: int) -> bool:
        """Whether a line ends between two neighbouring words."""
        return not self.of_tokens and "\n" in self.text[self.ends[word] : self.starts[after]]

    @cached_property
    def has_no_small_letter(self) -> bool:
        """Whether the text is in capitals, as headlines are."""
        return self.text.isupper()

    @cached_property
    def sentence_starts(self) -> frozenset[int]:
        """The words that begin a sentence; quotation marks, brackets and dashes before it do not count."""
        starts, fresh = set(), True
        for number, word in enumerate(self.words):
            fresh = fresh or (number > 0 and self.line_ends_between(number - 1, number))
            if fresh and word not in _OPENERS:
                starts.add(number)
                fresh = False
            if word in _ENDS:
                fresh = True
        return frozenset(starts)

    @cached_property
    def quoted(self) -> list[bool]:
        """Whether each word stands between quotation marks; a mark that is never closed quotes nothing."""
        inside = [False] * len(self.words)
        opened: tuple[int, Sequence[str]] | None = None
        for number, word in enumerate(self.words):
            if opened is not None and word in opened[1]:
                inside[opened[0] + 1 : number] = [True] * (number - opened[0] - 1)
                opened = None
            elif opened is None and (word == '"' or word in _PAIRS):
                opened = (number, _PAIRS.get(word, '"'))
        return inside
