"""Two texts, each read by itself, as a row of sub-tokens that holds both."""

from collections.abc import Sequence

from rag_lightning.data.records import Record
from rag_lightning.encoding.context import Columns, EncodingContext
from rag_lightning.encoding.segments import encode_segments, shorten


def encode_sides(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """Both texts of each pair, rendered each by itself: ``input_ids``, ``first_size``, ``example``, ``cut``."""
    words = context.words
    columns: Columns = {"input_ids": [], "first_size": [], "example": [], "cut": []}
    rendered = encode_segments([side for record in records for side in sides(record)], context.render, words)
    for number, pair in enumerate(zip(rendered[::2], rendered[1::2], strict=True), start=first):
        rows, lost = [], 0
        for parts in pair:
            kept, cut = shorten(parts, words.room)
            shown = [token for part in kept for piece in part.pieces for token in piece]
            rows.append([*words.prefix, *shown, *words.suffix])
            own = {part.segment.field for part in parts if part.segment.rank == 0}
            lost += sum(tokens for field, tokens in cut.items() if field in own)
        columns["input_ids"].append([*rows[0], *rows[1]])
        columns["first_size"].append(len(rows[0]))
        columns["example"].append(number)
        columns["cut"].append(lost)
    return columns


def sides(record: Record) -> tuple[Record, Record]:
    """The two texts of a pair as records of one text, each with its own hits."""
    border = len(record["first"]) + 1
    rest = {name: each for name, each in record.items() if name not in ("first", "second", "text", "hits")}
    one, other = {**rest, "text": record["first"]}, {**rest, "text": record["second"]}
    if "hits" in record:
        one["hits"] = [hit for hit in record["hits"] if hit[0] < border]
        other["hits"] = [[hit[0] - border, hit[1] - border, *hit[2:]] for hit in record["hits"] if hit[0] >= border]
    return one, other
