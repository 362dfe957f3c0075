"""Blocks of SemEval-2010 Task 8: a numbered sentence with two marked nominals, its relation, a comment.

Hendrickx et al. 2010, "SemEval-2010 Task 8: Multi-Way Classification of Semantic Relations Between Pairs of Nominals".
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag_lightning.data.fields import make_record
from rag_lightning.data.options import DataConfig
from rag_lightning.data.records import Record
from rag_lightning.data.text import read_text, shorten
from rag_lightning.errors import UserError

_NUMBERED = re.compile(r'(\d+)\s+"?(.*?)"?\s*')
_TAG = re.compile(r"</?e[12]>")
_SIDES = ("first", "second")


def read(path: Path, config: DataConfig, split: str) -> list[Record]:
    """One record per block: ``id``, ``text`` without tags, ``first`` and ``second`` (e1 and e2), ``label``.

    A block may be without relation, as in the test file that was given to participants.

    Raises:
        UserError: a block that begins without number, or whose sentence does not mark e1 and e2 once each.
    """
    records = []
    for start, lines in _blocks(read_text(path, config.encoding)):
        where = f"{path}:{start}"
        numbered = _NUMBERED.fullmatch(lines[0])
        if not numbered:
            raise UserError(
                f"a block begins with its number and the sentence, not {shorten(lines[0])!r}",
                where=where,
                remedy='Write 1<TAB>"A <e1>pot</e1> of <e2>tea</e2>.", below it the relation, then a blank line.',
            )
        row = {"id": numbered[1], **_without_tags(numbered[2], where)}
        if len(lines) > 1:
            row["label"] = lines[1]
        records.append(make_record(row, config, where, f"{path.name}:{start}"))
    return records


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """The blocks between blank lines, each with the number of its first line; comments are left out."""
    start, lines = 0, list[str]()
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if not line.strip():
            if lines:
                yield start, lines
            lines = []
        elif not line.startswith("Comment:"):
            start = start if lines else number
            lines.append(line.strip())


def _without_tags(marked: str, where: str) -> dict[str, Any]:
    """The sentence, and the places of the two nominals in it (without spaces around them)."""
    tags = [match.group() for match in _TAG.finditer(marked)]
    if sorted(tags) != ["</e1>", "</e2>", "<e1>", "<e2>"] or any(
        tags.index(f"<e{n}>") > tags.index(f"</e{n}>") for n in (1, 2)
    ):
        raise UserError(
            f"{shorten(marked)!r} does not mark one <e1>…</e1> and one <e2>…</e2>",
            where=where,
            remedy="Mark the two entities of the pair, each once.",
        )
    places: dict[str, int] = {}
    text, taken = "", 0
    for match in _TAG.finditer(marked):
        text += marked[taken : match.start()]
        places[match.group()] = len(text)
        taken = match.end()
    text += marked[taken:]
    row: dict[str, Any] = {"text": text}
    for number, side in enumerate(_SIDES, 1):
        start, end = places[f"<e{number}>"], places[f"</e{number}>"]
        mention = text[start:end]
        start += len(mention) - len(mention.lstrip())
        row[side] = {"start": start, "end": start + len(mention.strip()), "text": mention.strip()}
    return row
