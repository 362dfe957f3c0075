"""Segments of words as sub-tokens, and how they are made to fit the window."""

from collections.abc import Sequence
from typing import NamedTuple

from rag_lightning.data.records import Record
from rag_lightning.encoding.render import MASK, SEP, Render, Segment, Special
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.errors import UserError

LEAST = 8  # tokens of the example that a template must leave room for


class Part(NamedTuple):
    """A segment and the sub-tokens of each of its words."""

    segment: Segment
    pieces: list[list[int]]

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))


def encode_segments(records: Sequence[Record], render: Render, words: WordEncoder) -> list[list[Part]]:
    """Each record rendered and encoded.

    A segment that many records share (a template's own words) is encoded once.

    Raises:
        UserError: if the template asks for a special token that the tokenizer does not have.
    """
    if prepare := getattr(render, "prepare", None):  # what is cheaper for many records than for each
        prepare(records)
    rendered = [render(record) for record in records]
    distinct = {id(segment): segment for segments in rendered for segment in segments}
    encoded = words.encode([segment.words for segment in distinct.values()])
    pieces = dict(zip(distinct, encoded, strict=True))
    for key, segment in distinct.items():
        if segment.field is None or segment.rank:
            _put_specials(segment.words, pieces[key], words)
    return [[Part(segment, pieces[id(segment)]) for segment in segments] for segments in rendered]


def _put_specials(texts: Sequence[str], pieces: list[list[int]], words: WordEncoder) -> None:
    for place, word in enumerate(texts):
        if isinstance(word, Special):
            pieces[place] = [special_id(word, words)]


def special_id(word: Special, words: WordEncoder) -> int:
    """The tokenizer's id of a special word; where there is no separator, the end of a text is one.

    Raises:
        UserError: if the tokenizer has none.
    """
    names = {SEP: ("sep_token_id", "eos_token_id"), MASK: ("mask_token_id",)}[word]
    for name in names:
        if (found := getattr(words.tokenizer, name, None)) is not None:
            return int(found)
    slot = {SEP: "{sep}", MASK: "{mask}"}[word]
    raise UserError(
        f"the tokenizer of this backbone has no token for {slot}",
        where="template.text",
        remedy="Choose a template without it, or a backbone that was trained with masks, such as bert-base-cased."
        if word == MASK
        else "Write a word or a punctuation mark instead.",
    )


def shorten(parts: list[Part], room: int, windowed: str | None = None) -> tuple[list[Part], dict[str, int]]:
    """Parts that fit, and how many tokens of which field were cut.

    The highest rank makes room first; among parts of one rank the longest. Words of the template are never cut.

    Args:
        parts: one input.
        room: tokens for it.
        windowed: a field that is not cut here, because the caller divides it among several windows.

    Raises:
        UserError: if the template's own words leave less than :data:`LEAST` tokens for the example.
    """
    targets = [part.size for part in parts]
    over = sum(targets) - room
    if over <= 0:
        return parts, {}
    if len(parts) == 1 and parts[0].segment.field == windowed:
        return parts, {}
    check_room(parts, room)
    may = [i for i, part in enumerate(parts) if part.segment.field not in (None, windowed)]
    for rank in sorted({parts[i].segment.rank for i in may}, reverse=True):
        over = _cut_rank([i for i in may if parts[i].segment.rank == rank], parts, targets, over)
    cut: dict[str, int] = {}
    result = []
    for part, target in zip(parts, targets, strict=True):
        if lost := part.size - target:
            field = str(part.segment.field)
            cut[field] = cut.get(field, 0) + lost
        result.append(Part(part.segment, _first_tokens(part.pieces, target)) if lost else part)
    return result, cut


def _cut_rank(members: list[int], parts: list[Part], targets: list[int], over: int) -> int:
    """Lower the members' ``targets`` until nothing is over or nothing is left; what is still over."""
    while over > 0 and any(targets[i] for i in members):
        whole = [i for i in members if parts[i].segment.whole and targets[i]]
        if whole:
            take, chosen = targets[whole[-1]], whole[-1]
        else:
            chosen = max(members, key=lambda i: (targets[i], i))
            next_longest = max((targets[i] for i in members if i != chosen), default=0)
            take = min(over, max(1, targets[chosen] - next_longest))
        targets[chosen] -= take
        over -= take
    return over


def _first_tokens(pieces: list[list[int]], size: int) -> list[list[int]]:
    kept: list[list[int]] = []
    for piece in pieces:
        if size <= 0:
            break
        kept.append(piece[:size])
        size -= len(piece)
    return kept


def check_room(parts: list[Part], room: int) -> None:
    """Raise a UserError if the template's own words leave less than :data:`LEAST` tokens for the example."""
    fixed = sum(part.size for part in parts if part.segment.field is None)
    example = sum(part.size for part in parts if part.segment.field is not None and not part.segment.rank)
    if fixed and room - fixed < min(LEAST, example):
        raise UserError(
            f"the template's own words take {fixed} of the {room} tokens that an input holds, "
            "and nothing is left for the example",
            where="template.text",
            remedy="Shorten the template, the description or the label descriptions, or raise model.max_length.",
        )
