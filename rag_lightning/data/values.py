"""The values of a row as a file has them: checked, and in the one form that records hold."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rag_lightning.data.checking import as_list, from_cell, part_of, sound, wrong_type
from rag_lightning.data.nested_values import read_answers, read_mention, read_references, read_turns
from rag_lightning.data.options import DataConfig
from rag_lightning.data.text import shorten
from rag_lightning.errors import UserError

_SPAN_LABELS = ("label", "type", "entity", "entity_group", "tag")


def _read_id(value: Any, config: DataConfig, where: str) -> str:
    return read_text(str(value), config, where)


def read_text(value: Any, config: DataConfig, where: str) -> str:
    if not isinstance(value, str):
        raise wrong_type("the text", "a text", value, where)
    return sound(value, where)


def _read_tokens(value: Any, config: DataConfig, where: str) -> list[str]:
    words = as_list(value, "tokens", where, words=True)
    for position, word in enumerate(words):
        if not isinstance(word, str):
            raise wrong_type(f"token {position}", "a text", word, where)
    sound("".join(words), where)
    pattern = config.token_pattern
    if pattern is None:
        return words
    return [part_of(word, pattern, f"token {i}", "token_pattern", where) for i, word in enumerate(words)]


def _read_tags(value: Any, config: DataConfig, where: str) -> list[str]:
    names, tags = config.label_names, []
    if isinstance(names, dict):
        raise UserError("tags take a list of names", where="data.label_names", remedy="Write [O,B-PER,I-PER,…].")
    for position, tag in enumerate(as_list(value, "tags", where, words=True)):
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
            raise wrong_type(f"tag {position}", "a name such as B-PER or O", tag, where)
        tags.append(sound(tag.strip(), where))
    return tags


def _read_spans(value: Any, config: DataConfig, where: str) -> list[dict[str, Any]]:
    spans = []
    for position, span in enumerate(as_list(value, "spans", where)):
        if isinstance(span, Mapping):
            label = next((span[key] for key in _SPAN_LABELS if span.get(key) is not None), None)
            parts: Sequence[Any] = (span.get("start"), span.get("end"), label)
        else:
            parts = span if isinstance(span, (list, tuple)) else ()
        if [type(part) for part in parts] != [int, int, str]:
            form = '{"start": 0, "end": 5, "label": "PER"} or [0, 5, "PER"]'
            raise wrong_type(f"span {position}", form, span, where)
        spans.append({"start": parts[0], "end": parts[1], "label": sound(parts[2].strip(), where)})
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
        raise wrong_type("the label", "one name or whole number", value, where)
    label = sound(str(value).lower() if isinstance(value, bool) else str(value).strip(), where)
    if not label:
        raise UserError("the label is empty", where=where, remedy="Write the label, or leave the row out.")
    if config.label_pattern is not None:
        label = part_of(label, config.label_pattern, "the label", "label_pattern", where)
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


def _read_labels(value: Any, config: DataConfig, where: str) -> list[str]:
    """Several labels, each once, in the order of the row: a list, or a text with ``data.label_separator``."""
    found = from_cell(value)
    if isinstance(found, str):
        found = [part for part in found.split(config.label_separator) if part.strip()]
    elif type(found) is int:
        found = [found]
    if not isinstance(found, (list, tuple)):
        raise wrong_type("the field of the labels", 'a list or a text such as "a, b"', value, where)
    return list(dict.fromkeys(_read_label(label, config, where) for label in found))


def _read_score(value: Any, config: DataConfig, where: str) -> float:
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise wrong_type("the score", "a finite number such as 3.5", value, where)
    return number


READ: dict[str, Callable[[Any, DataConfig, str], Any]] = {
    "id": _read_id,
    "text": read_text,
    "tokens": _read_tokens,
    "tags": _read_tags,
    "spans": _read_spans,
    "label": _read_label,
    "labels": _read_labels,
    "score": _read_score,
    "first": read_mention,
    "second": read_mention,
    "question": read_text,
    "context": read_text,
    "answers": read_answers,
    "target": read_references,
    "turns": read_turns,
}
# Labels that are names, of which there are a few: examples can be counted by them.
NAMED_LABELS = ("tags", "spans", "label", "labels")
# Labels of which a row has one kind or another, where the config gives several.
EITHER_LABEL = (*NAMED_LABELS, "score")
# Labels that a row may leave open: such an example is not labelled (yet).
MAY_BE_BLANK = ("label", "labels", "score", "answers", "target")


def is_blank(field: str, value: Any) -> bool:
    """Whether a row leaves a label open; an empty cell of ``labels`` says that there is none."""
    return value is None or (isinstance(value, str) and not value.strip() and field != "labels")
