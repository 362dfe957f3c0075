"""Words that are labelled, as rows of sub-tokens."""

from collections.abc import Sequence

from rag_lightning.data.records import Record
from rag_lightning.encoding.context import Columns, EncodingContext
from rag_lightning.encoding.render import render_plain
from rag_lightning.encoding.segments import Part, encode_segments, shorten
from rag_lightning.encoding.windows import Window, windows

IGNORED = -100  # no loss at special tokens, at a template's words and at context
NO_WORD = -1
LABELLED = "tokens"  # the field whose words are labelled; a template shows it once


def encode(records: Sequence[Record], first: int, context: EncodingContext) -> Columns:
    """Windows of sub-tokens; columns ``input_ids``, ``labels``, ``words`` (the word whose answer is read here).

    With a template also ``left_out``: how many tokens of what it adds to the example found no room.
    """
    names = ("input_ids", "labels", "words", "example", "n_labels", *context.word_column_names)
    columns: Columns = {name: [] for name in names}
    if context.render is not render_plain:
        columns["left_out"] = []
    ids_of_label = {label: i for i, label in enumerate(context.labels)}
    rendered = encode_segments(records, context.render, context.words)
    for number, (record, parts) in enumerate(zip(records, rendered, strict=True), start=first):
        tags = record.get("tags")
        label_ids = None if tags is None else [IGNORED if tag is None else ids_of_label[tag] for tag in tags]
        parts, cut = shorten(parts, context.words.room, windowed=LABELLED)
        for row in _rows(parts, label_ids, context.word_columns(record), context):
            for name, value in row.items():
                columns[name].append(value)
            columns["example"].append(number)
            columns["n_labels"].append(sum(1 for label in row["labels"] if label != IGNORED))
            if "left_out" in columns:
                columns["left_out"].append(sum(cut.values()))
    return columns


def _rows(
    parts: list[Part], label_ids: list[int] | None, numbers: dict[str, list[int]], context: EncodingContext
) -> list[dict[str, list[int]]]:
    """The example's words in as many windows as they need, each with all that the template puts around them."""
    around = sum(part.size for part in parts if part.segment.field != LABELLED)
    room = max(1, context.words.room - around)
    words = next(part.pieces for part in parts if part.segment.field == LABELLED)
    # A single word longer than the whole window can only be shown in part; its label stays.
    words = [piece[:room] for piece in words]
    cut = windows([len(piece) for piece in words], room, context.overlap)
    return [_row(parts, words, window, label_ids, numbers, context) for window in cut]


def _row(
    parts: list[Part],
    words: list[list[int]],
    window: Window,
    label_ids: list[int] | None,
    numbers: dict[str, list[int]],
    context: EncodingContext,
) -> dict[str, list[int]]:
    row: dict[str, list[int]] = {"input_ids": [], "labels": [], "words": [], **{name: [] for name in numbers}}

    def add(ids: list[int], labels: list[int], places: list[int]) -> None:
        row["input_ids"] += ids
        row["labels"] += labels
        row["words"] += places

    def add_unlabelled(ids: list[int], word: int = NO_WORD) -> None:
        add(ids, [IGNORED] * len(ids), [NO_WORD] * len(ids))
        add_numbers(word, len(ids))

    def add_numbers(word: int, times: int) -> None:
        for name, values in numbers.items():
            row[name] += [0 if word == NO_WORD else values[word]] * times

    add_unlabelled(context.words.prefix)
    for part in parts:
        if part.segment.field != LABELLED:
            add_unlabelled([token for piece in part.pieces for token in piece])
            continue
        for word in range(window.start, window.end):
            piece = words[word]
            if not window.own_start <= word < window.own_end:
                add_unlabelled(piece, word)
                continue
            rest = len(piece) - 1
            labels = [IGNORED] * len(piece)
            if label_ids is not None:
                labels = [label_ids[word]] + [_continued(label_ids[word], context)] * rest
            add(piece, labels, [word] + [NO_WORD] * rest)
            add_numbers(word, len(piece))
    add_unlabelled(context.words.suffix)
    return row


def _continued(label_id: int, context: EncodingContext) -> int:
    """The label of a word's later sub-tokens: inside the entity that its first one begins."""
    if context.options.subwords == "first" or label_id == IGNORED:
        return IGNORED
    label = context.labels[label_id]
    return context.labels.index(f"I-{label[2:]}") if label.startswith("B-") else label_id
