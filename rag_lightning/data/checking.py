"""What all typed values share: sound text, lists as cells have them, and how a wrong type is told."""

import ast
import json
import re
from typing import Any

from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError

_SURROGATES = re.compile("[\ud800-\udfff]")


def sound(text: str, where: str) -> str:
    """The text as it is.

    Raises:
        UserError: for half a character or a NUL in it.
    """
    if not text.isascii() and (half := _SURROGATES.search(text)):
        raise UserError(
            f"half a character (the lone surrogate U+{ord(half.group()):04X}) stands in the text",
            where=where,
            remedy="Write the file again with whole characters; the writer cut a text in the middle of one.",
        )
    if "\x00" in text:
        raise UserError("a NUL character stands in the text", where=where, remedy="Remove it.")
    return text


def wrong_type(what: str, expected: str, value: Any, where: str) -> UserError:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return UserError(
        f"{what} must be {expected}, but is {shorten(shown, 80)}",
        where=where,
        remedy="Correct the row, or the mapping in data.fields.",
    )


def part_of(value: str, pattern: str, name: str, key: str, where: str) -> str:
    """What a pattern finds in a stored value: its first group that took part, or all of it."""
    found = re.search(pattern, value)
    part = next((group for group in (found.groups() or (found[0],)) if group), "") if found else ""
    if not part:
        raise UserError(
            f"data.{key} finds nothing in {name} {shorten(value)!r}",
            where=where,
            remedy=f"Correct the pattern; null takes {key.removesuffix('_pattern')}s as they stand.",
        )
    return part


def from_cell(value: Any) -> Any:
    """What stands in a table's cell as JSON or in Python's notation; anything else as it is."""
    if not isinstance(value, str) or not re.fullmatch(r"\s*(\[.*\]|\{.*\})\s*", value, re.DOTALL):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        # NumPy's notation ['a' 'b'] would be read as one string 'ab'.
        found = None if re.search(r"""['"][ \n]+['"]""", value) else _python_value(value)
    return value if found is None else found


def as_list(value: Any, name: str, where: str, *, words: bool = False) -> list[Any]:
    """A list as it is, or as a table's cell has it.

    Args:
        words: whether a cell may hold words between spaces instead.

    Raises:
        UserError: if it is none.
    """
    found = from_cell(value)
    if isinstance(found, (list, tuple)):
        return list(found)
    if not isinstance(value, str) or not words:
        raise wrong_type(f"the field of the {name}", "a list", value, where)
    if value.lstrip().startswith("[") and value.rstrip().endswith("]"):
        form = 'a list such as ["EU", "rejects"] or words between spaces'
        raise wrong_type(f"the field of the {name}", form, value, where)
    return [word for word in re.split("[ \t\r\n]+", value) if word]


def _python_value(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
