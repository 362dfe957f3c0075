"""Texts longer than the model's window: overlapping windows in which every word is answered exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Words ``start`` to ``end`` of a text, of which it answers for ``own_start`` to ``own_end`` (ends exclusive).

    The rest is context only; a word that two windows show is answered by the one in which it lies further from
    the cut.
    """

    start: int
    end: int
    own_start: int
    own_end: int


def windows(lengths: Sequence[int], room: int, overlap: float) -> list[Window]:
    """Cut a text into windows of at most ``room`` tokens.

    Args:
        lengths: tokens of each word, each from 1 to ``room``.
        room: tokens that a window holds.
        overlap: share of a window that the next one repeats, from 0 to 0.5.

    Returns:
        Windows whose own ranges cover all words without overlap; one window if the text fits; none for no words.
    """
    if not lengths:
        return []
    bounds = [(0, _last_that_fits(lengths, 0, room))]
    while bounds[-1][1] < len(lengths):
        start, end = bounds[-1]
        back, repeated = end, 0
        while back - 1 > start and repeated + lengths[back - 1] <= overlap * room:
            back -= 1
            repeated += lengths[back]
        next_end = _last_that_fits(lengths, back, room)
        while next_end <= end:  # the repeated words leave no room for a new one: repeat fewer
            back += 1
            next_end = _last_that_fits(lengths, back, room)
        bounds.append((back, next_end))
    cuts = [0] + [(b[0] + a[1]) // 2 for a, b in zip(bounds, bounds[1:], strict=False)] + [len(lengths)]
    return [Window(s, e, cuts[i], cuts[i + 1]) for i, (s, e) in enumerate(bounds)]


def _last_that_fits(lengths: Sequence[int], start: int, room: int) -> int:
    used, end = 0, start
    while end < len(lengths) and used + lengths[end] <= room:
        used += lengths[end]
        end += 1
    return end
