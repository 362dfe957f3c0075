"""From a row as a file has it to a record: choose the fields, check their types, say what is missing."""

import ast
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from rag_lightning.data.options import DataConfig, FieldSource
from rag_lightning.data.records import Record
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError, nearest

_USUAL_NAMES = {
    "tokens": ("tokens", "words", "token", "word", "sentence"),
    "tags": ("tags", "ner_tags", "labels", "tag", "label", "ner", "entities"),
    "text": ("text", "sentence", "content", "document"),
    "spans": ("spans", "entities", "label", "labels", "annotations"),
}
_SPAN_LABELS = ("label", "type", "entity", "entity_group", "tag")
_SURROGATES = re.compile("[\ud800-\udfff]")


def candidates(source: FieldSource) -> list[int | str]:
    """The names or column numbers that may hold a field, best first."""
    if source is None:
        return []
    return list(source) if isinstance(source, list) else [source]


def make_record(row: Mapping[Any, Any], config: DataConfig, where: str, source: str) -> Record:
    """The record that a row holds.

    Args:
        row: field name (or column number) -> value.
        where: the place for messages, ``folder/file:line``.
        source: the place as the record keeps it, ``file:line``.
    """
    found = {
        field: row[key]
        for field, wanted in config.fields.items()
        if (key := next((name for name in candidates(wanted) if row.get(name) is not None), None)) is not None
    }
    for field in _required(config, found):
        if field not in found:
            raise _missing(field, row.keys(), config, where)
    record: Record = {"source": source}
    for field, value in found.items():
        record[field] = _READ[field](value, config, where) if field in _READ else value
    _check_tags(record, where)
    if "spans" in record and "text" in record:
        check_spans(record["spans"], len(record["text"]), where)
    return record


def check_unique_ids(records: Sequence[Record]) -> None:
    """Raises a UserError that names both places of an id that stands twice."""
    places: dict[str, str] = {}
    for record in records:
        if "id" not in record:
            continue
        first = places.setdefault(record["id"], record["source"])
        if first is not record["source"]:
            raise UserError(
                f"the id {shorten(record['id'])!r} stands twice, first at {first}",
                where=record["source"],
                remedy="Give every example its own id, or set data.fields.id=null to have them numbered.",
            )


def check_spans(spans: Sequence[Mapping[str, Any]], length: int, where: str) -> None:
    """Raises a UserError for a span outside the text or two that overlap."""
    before: Mapping[str, Any] | None = None
    for span in sorted(spans, key=lambda span: (span["start"], span["end"])):
        name = f"the span {span['start']}–{span['end']} ({shorten(span['label'], 30)})"
        if not 0 <= span["start"] < span["end"] <= length:
            raise UserError(
                f"{name} does not lie in the text of {length:,} characters",
                where=where,
                remedy="start and end count characters from 0, and end is exclusive.",
            )
        if before is not None and span["start"] < before["end"]:
            raise UserError(
                f"{name} overlaps with {before['start']}–{before['end']} ({shorten(before['label'], 30)}), "
                "which one tag a word cannot say",
                where=where,
                remedy="Keep one of the two.",
            )
        before = span


def _required(config: DataConfig, found: Collection[str]) -> list[str]:
    """The fields a record must have: where both ways to write NER are configured, one of them."""
    wanted = [field for field, source in config.fields.items() if source is not None and field != "id"]
    if "tokens" in wanted and "text" in wanted:
        other = {"tokens", "tags"} if "text" in found and "tokens" not in found else {"text", "spans"}
        return [field for field in wanted if field not in other]
    return wanted


def _missing(field: str, present: Collection[Any], config: DataConfig, where: str) -> UserError:
    names = [str(name) for name in present if name is not None]
    asked = " or ".join(f"`{name}`" for name in candidates(config.fields[field]))
    usual = [name for wanted in _USUAL_NAMES.get(field, ()) for name in names if name.casefold() == wanted]
    close = usual or nearest(str(candidates(config.fields[field])[0]), names) or nearest(field, names)
    if close:
        name = shorten(close[0])
        remedy = f"If `{name}` holds the {field}, set data.fields.{field}={name}."
    else:
        remedy = f"Say which one holds the {field} with data.fields.{field}=NAME."
    has = ", ".join(shorten(name, 30) for name in names[:15]) or "nothing"
    return UserError(f"there is no {asked} for the {field}; there is: {has}", where=where, remedy=remedy)


def _check_tags(record: Record, where: str) -> None:
    if "tokens" in record and "tags" in record and len(record["tokens"]) != len(record["tags"]):
        raise UserError(
            f"{len(record['tokens']):,} tokens but {len(record['tags']):,} tags",
            where=where,
            remedy="Give each token one tag (O for none).",
        )


def _read_id(value: Any, config: DataConfig, where: str) -> str:
    return _read_text(str(value), config, where)


def _read_text(value: Any, config: DataConfig, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type("the text", "a text", value, where)
    return _sound(value, where)


def _read_tokens(value: Any, config: DataConfig, where: str) -> list[str]:
    words = _as_list(value, "tokens", where)
    for position, word in enumerate(words):
        if not isinstance(word, str):
            raise _wrong_type(f"token {position}", "a text", word, where)
    _sound("".join(words), where)
    return words


def _read_tags(value: Any, config: DataConfig, where: str) -> list[str]:
    names, tags = config.label_names, []
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


_READ: dict[str, Callable[[Any, DataConfig, str], Any]] = {
    "id": _read_id,
    "text": _read_text,
    "tokens": _read_tokens,
    "tags": _read_tags,
    "spans": _read_spans,
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
