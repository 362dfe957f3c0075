"""What is asked about a hit, and how it grows over its neighbours."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping

from rag_lightning.rules.ruleset import Conditions, Expand, Neighbour, Shape
from rag_lightning.rules.view import Span, View


class Entries:
    """Where the entries of each lexicon stand in one text, by words; for conditions.

    Args:
        spans: lexicon's name -> stretches of characters.
    """

    def __init__(self, view: View, spans: Mapping[str, list[Span]]) -> None:
        self._view = view
        self._spans = spans
        self._firsts: dict[str, list[int]] = {}
        self._lasts: dict[str, list[int]] = {}

    def any_of(self, lexicon: str) -> bool:
        """Whether an entry stands anywhere in the text."""
        return bool(self._spans.get(lexicon))

    def before(self, neighbour: Neighbour, word: int) -> bool:
        """Whether an entry ends at most ``within`` words before ``word``."""
        lasts = self._sorted(self._lasts, neighbour.lexicon, 1)
        return bisect_left(lasts, word) > bisect_left(lasts, word - neighbour.within)

    def after(self, neighbour: Neighbour, word: int) -> bool:
        """Whether an entry begins at most ``within`` words after ``word``."""
        firsts = self._sorted(self._firsts, neighbour.lexicon, 0)
        return bisect_right(firsts, word + neighbour.within) > bisect_right(firsts, word)

    def _sorted(self, table: dict[str, list[int]], lexicon: str, end: int) -> list[int]:
        if lexicon not in table:
            words = (self._view.words_of(span)[end] - end for span in self._spans.get(lexicon, ()))
            table[lexicon] = sorted(words)
        return table[lexicon]


def accepted(when: Conditions, unless: Conditions, view: View, entries: Entries, span: Span) -> bool:
    """Whether all of ``when`` hold and none of ``unless``."""
    return all(_answers(when, view, entries, span)) and not any(_answers(unless, view, entries, span))


def _answers(asked: Conditions, view: View, entries: Entries, span: Span) -> Iterator[bool]:
    """For each condition that is asked whether it is as the file says."""
    text = view.text[span[0] : span[1]]
    first, after = view.words_of(span)
    if asked.capitalised is not None:
        yield asked.capitalised == is_capitalised(text)
    if asked.all_caps is not None:
        yield asked.all_caps == is_all_caps(text)
    if asked.lower_case is not None:
        yield asked.lower_case == (text == text.lower())
    if asked.sentence_start is not None:
        yield asked.sentence_start == (first in view.sentence_starts and view.starts[first] == span[0])
    if asked.in_quotes is not None:
        yield asked.in_quotes == (first < after and all(view.quoted[first:after]))
    if asked.text_all_caps is not None:
        yield asked.text_all_caps == view.has_no_small_letter
    if asked.min_words is not None:
        yield after - first >= asked.min_words
    if asked.max_words is not None:
        yield after - first <= asked.max_words
    if asked.preceded_by is not None:
        yield entries.before(asked.preceded_by, first)
    if asked.followed_by is not None:
        yield entries.after(asked.followed_by, after - 1)
    if asked.text_has is not None:
        yield entries.any_of(asked.text_has)


def is_capitalised(text: str) -> bool:
    """Whether the first letter is a capital."""
    first = next((character for character in text if character.isalpha()), "")
    return first.isupper() or first.istitle()


def is_all_caps(text: str) -> bool:
    """Whether all letters are capitals, two at least."""
    return text.isupper() and sum(character.isalpha() for character in text) > 1


def grown(expand: Expand, view: View, span: Span) -> Span | None:
    """The stretch with the neighbours that it takes in; None if they are fewer than it needs."""
    first, after = view.words_of(span)
    if first >= after:
        return None
    start, taken_before = _walk(expand, expand.before, view, first, -1)
    last, taken_after = _walk(expand, expand.after, view, after - 1, 1)
    if taken_before + taken_after < expand.at_least:
        return None
    return min(view.starts[start], span[0]) if taken_before else span[0], view.ends[last] if taken_after else span[1]


def _walk(expand: Expand, shape: Shape | None, view: View, word: int, step: int) -> tuple[int, int]:
    """The last word taken in from ``word`` on in one direction, and how many of the shape were."""
    taken = 0
    if shape is None:
        return word, taken
    reached = word
    while taken < expand.at_most:
        following = _next(view, word, step)
        if following is None:
            break
        text = view.words[following]
        if text.casefold() in expand.over and abs(following - reached) <= 2:
            word = following  # counts only if a word of the shape comes behind it
        elif text.casefold() not in expand.stop and _has_shape(text, shape):
            word = reached = following
            taken += 1
        else:
            break
    return reached, taken


def _next(view: View, word: int, step: int) -> int | None:
    following = word + step
    if not 0 <= following < len(view.words):
        return None
    return None if view.line_ends_between(min(word, following), max(word, following)) else following


def _has_shape(word: str, shape: Shape) -> bool:
    if shape == "number":
        return any(character.isdigit() for character in word)
    return is_capitalised(word) if shape == "capitalised" else is_all_caps(word)
