"""The values of a row as a file has them: checked, and in the one form that records hold."""

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rag_lightning.data.options import DataConfig
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError

_SPAN_LABELS = ("label", "type", "entity", "entity_group", "tag")
_SURROGATES = re.compile("[\ud800-\udfff]")


def _read_id(value: Any, config: DataConfig, where: str) -> str:
    return read_text(str(value), config, where)


def read_text(value: Any, config: DataConfig, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type("the text", "a text", value, where)
    return _sound(value, where)


def _read_tokens(value: Any, config: DataConfig, where: str) -> list[str]:
    words = _as_list(value, "tokens", where)
    for position, word in enumerate(words):
        if not isinstance(word, str):
            raise _wrong_type(f"token {position}", "a text", word, where)
    _sound("".join(words), where)
    if config.token_pattern is None:
        return words
    return [_part(word, config.token_pattern, f"token {i}", "token_pattern", where) for i, word in enumerate(words)]


def _part(value: str, pattern: str, name: str, key: str, where: str) -> str:
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


def _read_tags(value: Any, config: DataConfig, where: str) -> list[str]:
    names, tags = config.label_names, []
    if isinstance(names, dict):
        raise UserError("tags take a list of names", where="data.label_names", remedy="Write [O,B-PER,I-PER,…].")
    for position, tag in enumerate(_as_list(value, "tags", where)):
        is_number = type(tag) is int or (isinstance(tag, str) and tag.isdecimal())
        if is_number and names is not None:
            if not 0 <= int(tag) < len(names):
                raise UserError(
                    f"tag {position} is {tag}, but data.label_names names only 0 to {len(names) - 1}",
                    where=where,
                    remedy="Add the missing names, in the order of their numbers.",
                )
            tag = names[int(tag)]
        elif is_number and not isinstance(tag, str):
            raise UserError(
                f"tag {position} is the number {tag}, not a name",
                where=where,
                remedy="Set data.label_names=[O,B-PER,I-PER,…], in the order of the numbers.",
            )
        if not isinstance(tag, str) or not tag.strip():
            raise _wrong_type(f"tag {position}", "a name such as B-PER or O", tag, where)
        tags.append(_sound(tag.strip(), where))
    return tags


def _read_spans(value: Any, config: DataConfig, where: str) -> list[dict[str, Any]]:
    spans = []
    for position, span in enumerate(_as_list(value, "spans", where)):
        if isinstance(span, Mapping):
            label = next((span[key] for key in _SPAN_LABELS if span.get(key) is not None), None)
            parts: Sequence[Any] = (span.get("start"), span.get("end"), label)
        else:
            parts = span if isinstance(span, (list, tuple)) else ()
        if [type(part) for part in parts] != [int, int, str]:
            form = '{"start": 0, "end": 5, "label": "PER"} or [0, 5, "PER"]'
            raise _wrong_type(f"span {position}", form, span, where)
        spans.append({"start": parts[0], "end": parts[1], "label": _sound(parts[2].strip(), where)})
        if not spans[-1]["label"]:
            raise UserError(f"span {position} has an empty label", where=where, remedy="Name the type of the entity.")
    return spans


def _read_label(value: Any, config: DataConfig, where: str) -> str:
    if isinstance(value, float) and value.is_integer():  # a data frame turns whole numbers into these beside gaps
        value = int(value)
    if type(value) is int and value < 0:
        raise UserError(
            f"the label is {value}, which in data sets means that there is none",
            where=where,
            remedy="Leave the row out, or name a file with labels in data.files.",
        )
    if not isinstance(value, str | int):
        raise _wrong_type("the label", "one name or whole number", value, where)
    label = _sound(str(value).lower() if isinstance(value, bool) else str(value).strip(), where)
    if not label:
        raise UserError("the label is empty", where=where, remedy="Write the label, or leave the row out.")
    if config.label_pattern is not None:
        label = _part(label, config.label_pattern, "the label", "label_pattern", where)
    return _named(label, config.label_names, where)


def _named(label: str, names: Sequence[str] | Mapping[str, str] | None, where: str) -> str:
    """The label's name, where the config has names for what is stored."""
    if names is None:
        return label
    known = names if isinstance(names, Mapping) else {str(number): name for number, name in enumerate(names)}
    if label in known:
        return known[label]
    if label in known.values():
        return label
    raise UserError(
        f"the label {shorten(label)!r} is not in data.label_names ({', '.join(list(known)[:15])})",
        where=where,
        remedy="Add it, or set data.label_names=null to take labels as they stand.",
    )


READ: dict[str, Callable[[Any, DataConfig, str], Any]] = {
    "id": _read_id,
    "text": read_text,
    "tokens": _read_tokens,
    "tags": _read_tags,
    "spans": _read_spans,
    "label": _read_label,
}


def _as_list(value: Any, name: str, where: str) -> list[Any]:
    """A list as it is, or as a table's cell has it: JSON, Python's notation, or words between spaces."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, str):
        raise _wrong_type(f"the field of the {name}", "a list", value, where)
    if not (value.lstrip().startswith("[") and value.rstrip().endswith("]")):
        if name == "spans":
            raise _wrong_type(f"the field of the {name}", "a list", value, where)
        return [word for word in re.split("[ \t\r\n]+", value) if word]
    try:
        items = json.loads(value)
    except ValueError:
        # NumPy's notation ['a' 'b'] would be read as one string 'ab'.
        items = None if re.search(r"""['"][ \n]+['"]""", value) else _python_list(value)
    if not isinstance(items, list):
        form = 'a list such as ["EU", "rejects"] or words between spaces'
        raise _wrong_type(f"the field of the {name}", form, value, where)
    return items


def _python_list(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _sound(text: str, where: str) -> str:
    if not text.isascii() and (half := _SURROGATES.search(text)):
        raise UserError(
            f"half a character (the lone surrogate U+{ord(half.group()):04X}) stands in the text",
            where=where,
            remedy="Write the file again with whole characters; the writer cut a text in the middle of one.",
        )
    if "\x00" in text:
        raise UserError("a NUL character stands in the text", where=where, remedy="Remove it.")
    return text


def _wrong_type(what: str, expected: str, value: Any, where: str) -> UserError:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return UserError(
        f"{what} must be {expected}, but is {shorten(shown, 80)}",
        where=where,
        remedy="Correct the row, or the mapping in data.fields.",
    )
