"""From a row as a file has it to a record: choose the fields, say what is missing."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rag_lightning.data.offsets import check_offsets
from rag_lightning.data.options import DataConfig, FieldSource
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record
from rag_lightning.data.text import shorten
from rag_lightning.data.values import EITHER_LABEL, MAY_BE_BLANK, READ, is_blank, read_text
from rag_lightning.errors import UserError, nearest

_USUAL_NAMES = {
    "tokens": ("tokens", "words", "token", "word", "sentence"),
    "tags": ("tags", "ner_tags", "labels", "tag", "label", "ner", "entities"),
    "text": ("text", "sentence", "content", "document", "article", "dialogue", "source", "body"),
    "spans": ("spans", "entities", "label", "labels", "annotations"),
    "label": ("label", "labels", "category", "class", "intent", "topic", "sentiment", "target", "y"),
    "labels": ("labels", "label", "categories", "topics", "tags"),
    "score": ("score", "similarity", "relatedness_score", "rating", "label"),
    "first": ("first", "sentence1", "text1", "premise", "sentence_a", "question1", "e1", "head", "subject"),
    "second": ("second", "sentence2", "text2", "hypothesis", "sentence_b", "question2", "e2", "tail", "object"),
    "context": ("context", "passage", "paragraph", "document", "text"),
    "answers": ("answers", "answer"),
    "target": ("target", "tgt", "summary", "translation", "highlights", "abstract", "subject", "output"),
    "turns": ("turns", "messages", "dialog", "dialogue", "conversation", "utterances", "context"),
}
# Where several columns make one of these, each is an item of a list.
_LISTS = ("labels", "target", "turns")
# Their places count the characters of the text as it stands.
_COUNT_CHARACTERS = ("spans", "first", "second")


def candidates(source: FieldSource) -> list[int | str]:
    """The names or column numbers that may hold a field, best first."""
    if source is None:
        return []
    return list(source) if isinstance(source, list) else [source]


def for_task(config: DataConfig, reading: Reading, *, labelled: bool = True) -> DataConfig:
    """The config with the fields that a task reads: one YAML of a format serves several tasks.

    Args:
        labelled: False leaves the labels out.

    Raises:
        UserError: if the data are of another kind, and have none of the task's labels or of its other fields.
    """
    others = set(READ).difference(reading.fields, ["id"])
    fields = {field: source for field, source in config.fields.items() if field not in others}
    join = {field: columns for field, columns in (config.join or {}).items() if field not in others}
    given = {field for field, source in fields.items() if source is not None}.union(join)
    shown = [field for field in reading.inputs if field not in reading.optional]
    wanted = [kind for kind in (shown, reading.labels if labelled else ()) if kind]
    if lacking := [kind[0] for kind in wanted if not given.intersection(kind)]:
        has = " and ".join(f"`{field}`" for field in config.fields if field != "id")
        missing = lacking[-1]
        raise UserError(
            f"data={config.name} gives {has or 'no field'}, and this task needs {reading.needed}",
            where="data.fields",
            remedy=f"Choose data of the task's kind (data=csv|jsonl|parquet …), or say where the {missing} is: "
            f"+data.fields.{missing}=NAME.",
        )
    if not labelled:
        fields = {field: source for field, source in fields.items() if field not in reading.labels}
        join = {field: columns for field, columns in join.items() if field not in reading.labels}
    optional = list(dict.fromkeys([*config.optional, *reading.optional]))
    return config.model_copy(update={"fields": fields, "join": join or None, "optional": optional})


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
    joined = _joined(row, config, where)
    found |= joined
    for field in MAY_BE_BLANK:
        named = [name for name in candidates(config.fields.get(field)) if name in row]
        if named and field not in joined:
            cell = row[named[0]]  # a blank one is not looked for elsewhere: the example is not labelled (yet)
            found[field] = None if is_blank(field, cell) else cell
    for field in _required(config, found):
        if field not in found:
            raise _missing(field, row.keys(), config, where)
    record: Record = {"source": source}
    for field, value in found.items():
        record[field] = READ[field](value, config, where) if field in READ and value is not None else value
    _check_tags(record, where)
    if isinstance(record.get("text"), str) and not set(config.fields).intersection(_COUNT_CHARACTERS):
        record["text"] = record["text"].replace("\r\n", "\n")
    return check_offsets(record, where)


def _joined(row: Mapping[Any, Any], config: DataConfig, where: str) -> dict[str, Any]:
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
            parts = [part for column in columns for part in _parts(row[column])]
            texts = [text for text in (read_text(part, config, where) for part in parts) if text.strip()]
            found[field] = texts if field in _LISTS else " ".join(texts)
    return found


def _parts(value: Any) -> list[Any]:
    """A cell, or the items of a list such as the sentences of a text."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


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


def _required(config: DataConfig, found: Collection[str]) -> list[str]:
    """The fields a record must have: where several ways to write labels are configured, one of them."""
    free = ("id", *config.optional)
    wanted = [field for field, source in config.fields.items() if source is not None and field not in free]
    wanted += [field for field in config.join or () if field not in (*wanted, *free)]
    if "tokens" in wanted and "text" in wanted:
        other = {"tokens", "tags"} if "text" in found and "tokens" not in found else {"text", "spans"}
        wanted = [field for field in wanted if field not in other]
    labels = [field for field in wanted if field in EITHER_LABEL]
    spare = set(labels).difference(found) if any(field in found for field in labels) else labels[1:]
    return [field for field in wanted if field not in spare]


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
