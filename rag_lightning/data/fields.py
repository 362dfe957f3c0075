"""From a row as a file has it to a record: choose the fields, say what is missing."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rag_lightning.data.options import DataConfig, FieldSource
from rag_lightning.data.records import Record
from rag_lightning.data.text import shorten
from rag_lightning.data.values import READ, read_text
from rag_lightning.errors import UserError, nearest

_USUAL_NAMES = {
    "tokens": ("tokens", "words", "token", "word", "sentence"),
    "tags": ("tags", "ner_tags", "labels", "tag", "label", "ner", "entities"),
    "text": ("text", "sentence", "content", "document"),
    "spans": ("spans", "entities", "label", "labels", "annotations"),
    "label": ("label", "labels", "category", "class", "intent", "topic", "sentiment", "target", "y"),
}
# What tasks read, by the field that holds their labels.
_READ_BY = {"tags": ("tokens", "tags", "text", "spans"), "label": ("text", "label")}
_LABELS_OF = {"tags": ("tags", "spans"), "label": ("label",)}


def candidates(source: FieldSource) -> list[int | str]:
    """The names or column numbers that may hold a field, best first."""
    if source is None:
        return []
    return list(source) if isinstance(source, list) else [source]


def for_task(config: DataConfig, label_field: str, *, labelled: bool = True) -> DataConfig:
    """The config with the fields that a task reads: one YAML of a format serves several tasks.

    Args:
        label_field: the field that holds the task's labels.
        labelled: False leaves the labels out.

    Raises:
        UserError: if the data are of another kind and have no such labels.
    """
    own = _READ_BY.get(label_field, ())
    others = {field for fields in _READ_BY.values() for field in fields}.difference(own) if own else set()
    labels = _LABELS_OF.get(label_field, (label_field,))
    fields = {field: source for field, source in config.fields.items() if field not in others}
    if labelled and not any(field in fields for field in labels):
        has = " and ".join(f"`{field}`" for field in config.fields if field != "id")
        raise UserError(
            f"data={config.name} gives {has or 'no field'}, and this task needs {' and '.join(own[:2])}",
            where="data.fields",
            remedy=f"Choose data of the task's kind (data=csv|jsonl|parquet …), or say where the {labels[0]} is: "
            f"+data.fields.{labels[0]}=NAME.",
        )
    if not labelled:
        fields = {field: source for field, source in fields.items() if field not in labels}
    return config.model_copy(update={"fields": fields})


def columns_of(config: DataConfig) -> set[int | str]:
    """Every name or number of a column that may be read."""
    named = {name for source in config.fields.values() for name in candidates(source)}
    return named.union(*(config.join or {}).values())


def make_record(row: Mapping[Any, Any], config: DataConfig, where: str, source: str) -> Record:
    """The record that a row holds.

    Args:
        row: field name (or column number) -> value.
        where: the place for messages, ``folder/file:line``.
        source: the place as the record keeps it, ``file:line``.

    Returns:
        the fields in their one form; the label of a row that leaves it blank is None.
    """
    found = {
        field: row[key]
        for field, wanted in config.fields.items()
        if (key := next((name for name in candidates(wanted) if row.get(name) is not None), None)) is not None
    }
    found |= _joined(row, config, where)
    if named := [name for name in candidates(config.fields.get("label")) if name in row]:
        cell = row[named[0]]  # a blank one is not looked for elsewhere: the text is not labelled (yet)
        found["label"] = None if isinstance(cell, str) and not cell.strip() else cell
    for field in _required(config, found):
        if field not in found:
            raise _missing(field, row.keys(), config, where)
    record: Record = {"source": source}
    for field, value in found.items():
        record[field] = READ[field](value, config, where) if field in READ and value is not None else value
    _check_tags(record, where)
    if "spans" in record and "text" in record:
        check_spans(record["spans"], len(record["text"]), where)
    return record


def _joined(row: Mapping[Any, Any], config: DataConfig, where: str) -> dict[str, str]:
    """The fields that are made of several columns."""
    found = {}
    for field, columns in (config.join or {}).items():
        missing = [column for column in columns if column not in row]
        if missing and len(missing) < len(columns):
            names = [str(name) for name in row if name is not None]
            close = nearest(str(missing[0]), names)
            raise UserError(
                f"there is no `{missing[0]}`, which data.join.{field} names; there is: {', '.join(names[:15])}",
                where=where,
                remedy=f"Did you mean {close[0]}?" if close else "Name columns that are there.",
            )
        if not missing:
            texts = [read_text(row[column], config, where) for column in columns if row[column] is not None]
            found[field] = " ".join(text for text in texts if text)
    return found


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
    wanted += [field for field in config.join or () if field not in wanted]
    if "tags" in wanted and "label" in wanted:  # not narrowed down by for_task: tokens and tags are the rule
        wanted.remove("label")
    if "tokens" in wanted and "text" in wanted:
        other = {"tokens", "tags"} if "text" in found and "tokens" not in found else {"text", "spans"}
        return [field for field in wanted if field not in other]
    return wanted


def _missing(field: str, present: Collection[Any], config: DataConfig, where: str) -> UserError:
    names = [name for name in present if isinstance(name, str)] or [str(n) for n in present if n is not None]
    sources = candidates(config.fields.get(field)) or (config.join or {})[field]
    asked = " or ".join(f"`{name}`" for name in sources)
    usual = [name for wanted in _USUAL_NAMES.get(field, ()) for name in names if name.casefold() == wanted]
    close = usual or nearest(str(sources[0]), names) or nearest(field, names)
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
