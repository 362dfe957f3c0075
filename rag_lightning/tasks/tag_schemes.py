"""How entity tags mark where entities begin and end: recognise the scheme, bring it to IOB2.

Ramshaw & Marcus 1995 (IOB1), Tjong Kim Sang & Veenstra 1999 (IOB2), Ratinov & Roth 2009 (BILOU).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rag_lightning.errors import UserError

KNOWN = "IOB1, IOB2 (BIO), BIOES (IOBES), BILOU, BMES, BMEWO and plain types (IO)"
_LETTERS = {
    "IOB2": "BI",
    "BIOES": "BIES",
    "BILOU": "BILU",
    "BMES": "BMES",
    "BMEWO": "BMEW",
}
_DESCRIPTIONS = {
    "IOB1": "IOB1 (B- only where an entity touches one of the same type before it)",
    "IOB2": "IOB2 (every entity begins with B-)",
    "BIOES": "BIOES (B- I- E- for the words of an entity, S- for one of a single word)",
    "BILOU": "BILOU (B- I- L- for the words of an entity, U- for one of a single word)",
    "BMES": "BMES (B- M- E- for the words of an entity, S- for one of a single word)",
    "BMEWO": "BMEWO (B- M- E- for the words of an entity, W- for one of a single word)",
    "IO": "IO (I- only, taken as IO: neighbouring words of one type are one entity)",
    "plain": "IO (types without prefix: neighbouring words of one type are one entity)",
}
_BEGINS, _GOES_ON, _CLOSES = frozenset("BSUW"), frozenset("IMEL"), frozenset("ESLUW")
_NOT_OUTSIDE = {"o", "0", "_", "-", "*", "none", "None", "null", "nan"}


@dataclass(frozen=True)
class Scheme:
    """A tag scheme.

    Attributes:
        name: IOB1, IOB2, BIOES, BILOU, BMES, BMEWO or IO.
        description: name and meaning, as they can stand in a sentence.
    """

    name: str
    description: str


def detect_scheme(sequences: Sequence[Sequence[str]], sources: Sequence[str] | None = None) -> Scheme:
    """The scheme that all the sequences are written in.

    Args:
        sequences: the tags of each example, best of all splits together.
        sources: the place of each example, for messages.

    Raises:
        UserError: names the first tag that fits no scheme, or not the one of the others.
    """
    counts: Counter[str] = Counter()
    for tags in sequences:
        counts.update(tags)
    prefixes: Counter[str] = Counter()
    plain = 0
    for tag, count in counts.items():
        prefix, _ = _parts(tag)
        if prefix:
            prefixes[prefix] += count
        elif tag != "O":
            plain += count
    _refuse_unknown(counts, sequences, sources)
    if plain and prefixes:
        odd_is_plain = plain <= prefixes.total()
        odd = {tag for tag in counts if tag != "O" and bool(_parts(tag)[0]) != odd_is_plain}
        raise _unknown(
            odd,
            "has no prefix such as B-" if odd_is_plain else "has a prefix, the others have none",
            sequences,
            sources,
        )
    if plain:
        return Scheme("IO", _DESCRIPTIONS["plain"])
    letters = set(prefixes)
    if letters == {"I"}:
        return Scheme("IO", _DESCRIPTIONS["IO"])
    name = _by_letters(prefixes, counts, sequences, sources)
    if name == "IOB2" and _looks_like_iob1(sequences):
        name = "IOB1"
    return Scheme(name, _DESCRIPTIONS[name])


def to_iob2(sequences: Iterable[Sequence[str]], scheme: Scheme) -> list[list[str]]:
    """The sequences in IOB2.

    An ``I-`` that starts an entity where the scheme forbids it stays (see :func:`repair_iob2`).
    """
    if scheme.name == "IOB2":
        return [list(tags) for tags in sequences]
    convert = _from_plain if scheme.name == "IO" else _from_iob1 if scheme.name == "IOB1" else _from_closed
    parsed: dict[str, tuple[str, str]] = {}
    result = []
    for tags in sequences:
        for tag in tags:
            if tag not in parsed:
                parsed[tag] = _parts(tag)
        result.append(convert([parsed[tag] for tag in tags]))
    return result


def repair_iob2(tags: Sequence[str]) -> tuple[list[str], int]:
    """IOB2 tags in which each ``I-`` that starts an entity is a ``B-``, and the number of those."""
    repaired, before, changed = [], "O", 0
    for tag in tags:
        if tag.startswith("I-") and before[2:] != tag[2:]:
            tag = f"B-{tag[2:]}"
            changed += 1
        repaired.append(tag)
        before = tag
    return repaired, changed


def _parts(tag: str) -> tuple[str, str]:
    """Prefix and type; the prefix is empty for plain types and O. Types may hold hyphens."""
    if len(tag) > 2 and tag[1] == "-":
        return tag[0], tag[2:]
    return "", tag


def _refuse_unknown(counts: Counter[str], sequences: Sequence[Sequence[str]], sources: Sequence[str] | None) -> None:
    reasons = {}
    plain_types = {tag for tag in counts if tag != "O" and not _parts(tag)[0]}
    for tag in counts:
        prefix, kind = _parts(tag)
        if prefix and prefix not in "BIESMLUW":
            lower = prefix.upper() in "BIESMLUW"
            reasons[tag] = f"has the prefix {prefix}-, which no scheme has" + (" (write it large)" if lower else "")
        elif tag in _NOT_OUTSIDE:
            reasons[tag] = "is no entity type; a token outside every entity has the tag O"
        elif len(tag) == 1 and tag in "BIESMLUW" or tag in ("B-", "I-", "E-", "S-", "M-", "L-", "U-", "W-"):
            reasons[tag] = "names no entity type, as in B-PER"
        elif tag.isdecimal():
            reasons[tag] = "is a number; name the labels with data.label_names=[O,B-PER,…]"
        elif re.match(r"[BIESMLUW][_:./].", tag):
            reasons[tag] = f"parts prefix and type with {tag[1]!r} instead of a hyphen"
        elif re.search(r".[-_:./][BI]$", tag) and {tag[:-1] + "B", tag[:-1] + "I"} <= plain_types:
            reasons[tag] = f"has its prefix at the end, B-{tag[:-2]} is meant"
    if reasons:
        tag, place = _first(reasons, sequences, sources)
        raise UserError(f"the tag {tag!r} {reasons[tag]}", where=place, remedy=f"Known schemes: {KNOWN}.")


def _by_letters(
    prefixes: Counter[str], counts: Counter[str], sequences: Sequence[Sequence[str]], sources: Sequence[str] | None
) -> str:
    letters = set(prefixes)
    fitting = [name for name, allowed in _LETTERS.items() if letters <= set(allowed)]
    if not fitting:
        best = max(_LETTERS, key=lambda name: sum(prefixes[letter] for letter in _LETTERS[name]))
        odd = {tag for tag in counts if _parts(tag)[0] and _parts(tag)[0] not in _LETTERS[best]}
        raise _unknown(
            odd,
            f"does not belong to {best} ({'- '.join(_LETTERS[best])}-), which the others follow",
            sequences,
            sources,
        )
    if letters & _GOES_ON and "B" not in letters:
        odd = {tag for tag in counts if _parts(tag)[0] in _GOES_ON}
        raise _unknown(odd, "goes on with an entity, but no tag begins one (B-)", sequences, sources)
    return fitting[0]


def _looks_like_iob1(sequences: Sequence[Sequence[str]]) -> bool:
    """Whether entities begin with ``I-`` more often than with a ``B-`` that IOB1 would not have."""
    begun_by_i = free_b = 0
    for tags in sequences:
        before = "O"
        for tag in tags:
            if tag != "O" and before[2:] != tag[2:]:
                if tag[0] == "I":
                    begun_by_i += 1
                else:
                    free_b += 1
            before = tag
    return begun_by_i > free_b


def _from_plain(tags: Sequence[tuple[str, str]]) -> list[str]:
    result, before = [], "O"
    for _, kind in tags:
        result.append("O" if kind == "O" else f"I-{kind}" if kind == before else f"B-{kind}")
        before = kind
    return result


def _from_iob1(tags: Sequence[tuple[str, str]]) -> list[str]:
    result, before = [], "O"
    for prefix, kind in tags:
        goes_on = prefix == "I" and kind == before
        result.append("O" if kind == "O" else f"I-{kind}" if goes_on else f"B-{kind}")
        before = kind
    return result


def _from_closed(tags: Sequence[tuple[str, str]]) -> list[str]:
    """From the schemes that mark the last word too."""
    result, before, closed = [], "O", True
    for prefix, kind in tags:
        if not prefix:
            result.append("O")
        else:
            begins = prefix in _BEGINS or (closed and kind == before)
            result.append(f"B-{kind}" if begins else f"I-{kind}")
        before, closed = kind, prefix in _CLOSES
    return result


def _unknown(
    odd: set[str], reason: str, sequences: Sequence[Sequence[str]], sources: Sequence[str] | None
) -> UserError:
    tag, place = _first(odd, sequences, sources)
    return UserError(f"the tag {tag!r} {reason}", where=place, remedy=f"Known schemes: {KNOWN}.")


def _first(
    odd: Iterable[str], sequences: Sequence[Sequence[str]], sources: Sequence[str] | None
) -> tuple[str, str | None]:
    """The first of the tags in the order of the data, and the example that has it."""
    wanted = set(odd)
    for number, tags in enumerate(sequences):
        for tag in tags:
            if tag in wanted:
                return tag, sources[number] if sources is not None else None
    raise ValueError("none of the tags is in the sequences")
