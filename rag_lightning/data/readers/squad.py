"""SQuAD's JSON, 1.1 and 2.0: articles of paragraphs with questions (Rajpurkar et al. 2016, 2018)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag_lightning.data.fields import make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.text import read_text, shorten
from rag_lightning.errors import UserError

_FORM = '{"data": [{"title": …, "paragraphs": [{"context": …, "qas": [{"id": …, "question": …, "answers": [{"text": …'


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per question, with the fields ``id``, ``title``, ``context``, ``question`` and ``answers``.

    A question that is marked as impossible has no answer; the plausible answers of SQuAD 2.0 are not read.

    Raises:
        UserError: broken JSON, another form, an answer that does not stand at its place in the context.
    """
    text = read_text(path, config.encoding)
    try:
        stored = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"this is not JSON: {error.msg} at character {error.colno} of the line",
            where=f"{path}:{error.lineno}",
            remedy="Copy or download the file again; it may be cut off.",
        ) from None
    records = [
        make_record(row, config, f"{path}:question {row['id']}", f"{path.name}:question {row['id']}")
        for row in _questions(stored, path)
    ]
    if not records:
        raise UserError("the file holds no question", where=str(path), remedy="Choose another file with data.path.")
    return records


def _questions(stored: Any, path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    for a, article in enumerate(_items(stored, "data", str(path)), 1):
        title = article.get("title", f"article {a}")
        for p, paragraph in enumerate(_items(article, "paragraphs", f"{path}:article {a}"), 1):
            where = f"{path}:article {a}, paragraph {p} ({shorten(str(title), 30)})"
            if not isinstance(paragraph.get("context"), str):
                raise _other_form("a paragraph without context", where)
            for question in _items(paragraph, "qas", where):
                number += 1
                row = {"id": number, "title": title, "context": paragraph["context"], **question}
                if question.get("is_impossible"):
                    row["answers"] = []
                yield row


def _items(holder: Any, key: str, where: str) -> list[dict[str, Any]]:
    items = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _other_form(f"no list `{key}` of objects", where)
    return items


def _other_form(reason: str, where: str) -> UserError:
    return UserError(
        f"this is not SQuAD's form: {reason}",
        where=where,
        remedy=f"It is {_FORM} …; a table or one question a line is read with data=csv, jsonl or parquet.",
    )
