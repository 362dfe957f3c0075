"""A line of text with slots to its parts. Only names may stand in a slot: nothing is evaluated or looked up."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import regex

from rag_lightning.errors import UserError, nearest

_PIECE = regex.compile(r"(?P<brace>\{\{|\}\})|\{(?P<slot>[^{}]*)\}|(?P<stray>[{}])|(?P<text>[^{}]+)")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that is filled for each example; ``column`` (from 1) is where it begins in the line."""

    name: str
    column: int


Parts = tuple[str | Slot, ...]


def parse(text: str, where: str = "template.text") -> Parts:
    """Stretches of plain text and slots, in order; ``{{`` and ``}}`` are braces.

    Args:
        text: as written, such as ``"{description} {text}"``.
        where: the config key, for errors.

    Raises:
        UserError: for a brace without its partner, or a slot that is not a plain name.
    """
    parts: list[str | Slot] = []
    literal = ""
    for piece in _PIECE.finditer(text):
        if piece["slot"] is None and not piece["stray"]:
            literal += piece["brace"][0] if piece["brace"] else piece["text"]
            continue
        if piece["stray"]:
            raise _stray(piece["stray"], f"{where}:column {piece.start() + 1}")
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(Slot(_name(piece["slot"], f"{where}:column {piece.start() + 1}"), piece.start() + 1))
    return (*parts, literal) if literal else tuple(parts)


def _stray(brace: str, where: str) -> UserError:
    return UserError(
        f"a {brace} without its partner",
        where=where,
        remedy=f"A slot is a name in braces, such as {{text}}; for a brace in the text write {brace * 2}.",
    )


def _name(inside: str, where: str) -> str:
    name = inside.strip()
    if name.isidentifier():
        return name
    if not name:
        reason, remedy = "an empty slot {}", "Write a name in the braces, such as {text}; for plain braces {{ and }}."
    else:
        reason = f"{{{inside}}} is no slot: there can only be a name in the braces"
        remedy = "Neither attributes, indices nor formats are looked up. For plain braces write {{ and }}."
    raise UserError(reason, where=where, remedy=remedy)


def slots_of(parts: Sequence[str | Slot]) -> list[str]:
    """The names of the slots, in order, repeated ones too."""
    return [part.name for part in parts if isinstance(part, Slot)]


def check_slots(parts: Sequence[str | Slot], known: Collection[str], where: str = "template.text") -> None:
    """Raise for a slot that does not exist, naming those that do, the nearest first."""
    for part in parts:
        if isinstance(part, Slot) and part.name not in known:
            close = nearest(part.name, sorted(known), 3)
            ordered = [*close, *sorted(set(known) - set(close))]
            hint = f"Did you mean {{{close[0]}}}? " if close else ""
            raise UserError(
                f"there is no slot {{{part.name}}}",
                where=f"{where}:column {part.column}",
                remedy=f"{hint}There are: {', '.join(f'{{{name}}}' for name in ordered)}.",
            )
