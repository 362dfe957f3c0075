"""Two entities of a text, made visible in it: marks around each mention, and where the words then stand.

The marks are punctuation, as in Zhou & Chen 2022, "An Improved Baseline for Sentence-level Relation Extraction": with
RoBERTa it did best of all forms that they compared, with BERT about as well as new special tokens (Baldini Soares et
al. 2019, "Matching the Blanks"). Vocabularies have ``@`` and ``#`` as tokens that have been learnt, so nothing has to
be added to them. Such signs in a text do no harm: where the marks stand is known, not searched for.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError

SIDES = ("first", "second")
MARKED, TYPED = "marked", "typed"  # fields of a record: the text with marks, without and with the entities' types
MARKS = {"first": ("@", "*"), "second": ("#", "^")}  # around a mention, around its type
ADDED = -1  # a word that is none of the text
NO_TYPE = "entity"  # how a mention without type is called beside others that have one
_WORD = re.compile(r"\S+")  # the words of str.split()
_TAG = re.compile(r"<(/?)e([12])(?::([^<>]+))?>")
_HOW = "Mark the two entities as in '<e1>Ada</e1> lived in <e2>Ghent</e2>', each once; with a type as in <e1:PER>."


@dataclass(frozen=True)
class ShownWords:
    """The words of a text as an input shows them.

    Attributes:
        words: as ``" ".join(words).split()`` gives them again.
        of_text: for each of them its place among the words of the text, or :data:`ADDED`.
        spans: for the first and the second entity the words from its opening mark (or its first word, without marks)
            to behind its closing one.
    """

    words: list[str]
    of_text: list[int]
    spans: tuple[tuple[int, int], tuple[int, int]]


def without_types(where: str) -> UserError:
    """What to say where a template shows types and the entities have none."""
    return UserError(
        "the template shows the entities' types ({typed}), and the entities have none",
        where=where,
        remedy='Give them types, as {"start": 0, "end": 3, "type": "PER"} or <e1:PER>Ada</e1>, or choose '
        "template=entity_markers.",
    )


def has_entities(record: Record) -> bool:
    """Whether a record says where its two entities are."""
    return isinstance(record.get("text"), str) and all(isinstance(record.get(side), Mapping) for side in SIDES)


def shown_words(record: Record, field: str, types: Mapping[str, str]) -> ShownWords:
    """The words of ``text`` as a template's slot shows them: ``marked``, ``typed``, or as they are.

    Args:
        record: with ``text`` and the entities ``first`` and ``second`` as {start, end, type?}, in any order.
        field: which form; any other name than ``marked`` and ``typed`` is the text itself.
        types: how types are called in words, such as ``PER: person``.
    """
    text, places = record["text"], [match.span() for match in _WORD.finditer(record["text"])]
    if field not in (MARKED, TYPED):
        return ShownWords([text[a:b] for a, b in places], list(range(len(places))), _spans_of_words(record, places))
    starts = [start for start, _ in places]
    words: list[str] = []
    of_text: list[int] = []
    opened: dict[str, int] = {}
    closed: dict[str, int] = {}
    taken = 0
    for place, side, opens in _events(record):
        _add(words, of_text, text, (taken, place), starts)
        taken = place
        if opens:
            opened[side] = len(words)
        added = _mark(side, record[side], field == TYPED and opens, types)
        words += added
        of_text += [ADDED] * len(added)
        if not opens:
            closed[side] = len(words)
    _add(words, of_text, text, (taken, len(text)), starts)
    first, second = ((opened[side], closed[side]) for side in SIDES)
    return ShownWords(words, of_text, (first, second))


def with_marks(record: Record, types: Mapping[str, str]) -> Record:
    """The record with its text in the forms that templates show: ``marked``, and ``typed`` if an entity has a type.

    ``first_text`` and ``second_text`` are the mentions alone.
    """
    made = {f"{side}_text": record["text"][record[side]["start"] : record[side]["end"]] for side in SIDES}
    forms = (MARKED, TYPED) if any(record[side].get("type") for side in SIDES) else (MARKED,)
    return {**record, **made, **{form: " ".join(shown_words(record, form, types).words) for form in forms}}


def tagged(record: Record) -> str:
    """The text with ``<e1>…</e1>`` and ``<e2>…</e2>`` around the entities, as :func:`read_tagged` reads it."""
    text, result, taken = record["text"], "", 0
    for place, side, opens in _events(record):
        number = SIDES.index(side) + 1
        kind = record[side].get("type")
        result += text[taken:place] + (f"<e{number}{f':{kind}' if kind else ''}>" if opens else f"</e{number}>")
        taken = place
    return result + text[taken:]


def read_tagged(marked: str, where: str = "text") -> Record:
    """A text in which ``<e1>…</e1>`` and ``<e2>…</e2>`` mark the entities, as ``text``, ``first`` and ``second``.

    Raises:
        UserError: if each of the four tags does not stand there once, opening before closing.
    """
    tags = list(_TAG.finditer(marked))
    names = [f"{tag[1]}{tag[2]}" for tag in tags]
    if sorted(names) != ["/1", "/2", "1", "2"] or any(names.index(n) > names.index(f"/{n}") for n in ("1", "2")):
        raise UserError("the text does not mark one <e1>…</e1> and one <e2>…</e2>", where=where, remedy=_HOW)
    text, taken, record = "", 0, Record()
    places: dict[str, int] = {}
    for tag, name in zip(tags, names, strict=True):
        text += marked[taken : tag.start()]
        places[name], taken = len(text), tag.end()
    record["text"] = text + marked[taken:]
    for number, side in enumerate(SIDES, 1):
        start, end = places[str(number)], places[f"/{number}"]
        mention = text[start:end]
        if not mention.strip():
            raise UserError(f"there is nothing between <e{number}> and </e{number}>", where=where, remedy=_HOW)
        start += len(mention) - len(mention.lstrip())
        found: dict[str, Any] = {"start": start, "end": start + len(mention.strip()), "text": mention.strip()}
        kind = next(tag[3] for tag, name in zip(tags, names, strict=True) if name == str(number))
        record[side] = found | ({"type": kind.strip()} if kind else {})
    return record


def _events(record: Record) -> list[tuple[int, str, bool]]:
    """Where a mention opens or closes, in the order in which marks stand: (character, side, whether it opens).

    Mentions may lie in each other: the inner one closes first and opens last.
    """
    sizes = {side: record[side]["end"] - record[side]["start"] for side in SIDES}
    events = [
        (record[side][key], side, key == "start", sizes[side]) for side in SIDES for key in ("start", "end")
    ]  # fmt: skip
    events.sort(key=lambda event: (event[0], event[2], -event[3] if event[2] else event[3]))
    return [event[:3] for event in events]


def _mark(side: str, mention: Mapping[str, Any], with_type: bool, types: Mapping[str, str]) -> list[str]:
    around, beside = MARKS[side]
    return [around, beside, *type_in_words(mention, types).split(), beside] if with_type else [around]


def type_in_words(mention: Mapping[str, Any], types: Mapping[str, str]) -> str:
    """What a mention is, in words: its type as ``types`` calls it, else in lower case."""
    kind = str(mention.get("type") or NO_TYPE)
    return types.get(kind) or kind.replace("_", " ").replace("-", " ").lower()


def _add(words: list[str], of_text: list[int], text: str, part: tuple[int, int], starts: list[int]) -> None:
    """The words of ``text`` from ``part[0]`` to ``part[1]``; a mark may stand inside of a word and divides it."""
    for match in _WORD.finditer(text, *part):
        words.append(match.group())
        of_text.append(bisect_right(starts, match.start()) - 1)


def _spans_of_words(record: Record, places: list[tuple[int, int]]) -> tuple[tuple[int, int], tuple[int, int]]:
    starts = [start for start, _ in places]

    def span(side: str) -> tuple[int, int]:
        first, last = record[side]["start"], max(record[side]["start"], record[side]["end"] - 1)
        return max(0, bisect_right(starts, first) - 1), max(1, bisect_right(starts, last))

    return span("first"), span("second")
