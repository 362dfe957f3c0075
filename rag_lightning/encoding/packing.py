"""Running text as rows of window length: documents packed one behind the other, or each in windows of its own.

Packed rows have no padding and no short ends (as RoBERTa's FULL-SENTENCES, Liu et al. 2019; GPT-2's blocks).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag_lightning.data.records import Record
from rag_lightning.encoding.words import WordEncoder

ALONE = ""  # the document of a text that is never packed together with others
NO_WORD = -1
BEYOND = (1 << 31) - 1  # fills up a list of places: no place in a row is behind it
NO_RECORD = -1
PADDING = {"stretches": NO_RECORD, "begins": BEYOND}

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One input, special tokens included.

    Attributes:
        ids: of its tokens.
        words: for each token the number of its word in the row, :data:`NO_WORD` for special tokens.
        hits: for each token whether a rule speaks on it.
        stretches: the records that it shows, each by its number; ``begins``: the place of the first token of each.
        opens: whether the first of them begins here, rather than going on from the row before.
    """

    ids: Numbers
    words: Numbers
    hits: NDArray[np.bool_]
    stretches: list[int]
    begins: list[int]
    opens: bool

    def columns(self) -> dict[str, Any]:
        """What every kind of output needs of it, in the form of encoded columns."""
        return {
            "input_ids": self.ids.tolist(),
            "stretches": self.stretches,
            "begins": self.begins,
            "opens": int(self.opens),
            "example": self.stretches[0],
        }


class _Tokens(NamedTuple):
    """Tokens of one record or of several: parallel arrays."""

    ids: Numbers
    words: Numbers
    records: Numbers
    hits: NDArray[np.bool_]


def rows_of(
    records: Sequence[Record], first: int, words: WordEncoder, *, pack: bool, line_end: str = "",
    ends_documents: bool = False,
) -> Iterator[Row]:  # fmt: skip
    """The rows that show all tokens of the records, each once.

    Records of one ``document`` follow each other without a mark. With ``pack`` documents do so too, with the
    tokenizer's separator (or end of text) between them; those whose document is :data:`ALONE` have rows of their own.

    Args:
        records: with ``text`` or ``tokens`` and, where rules were applied, ``hits``.
        first: number of the first record.
        words: encoder of the backbone's tokenizer; its window is the length of a row.
        pack: several documents in a row.
        line_end: what stands between the records of a document.
        ends_documents: the separator ends every document, not only one that another follows in its row.
    """
    ends = _document_ends(records)
    encoded = _encoded(records, first, words, ends, line_end)
    separator = _separator(words)
    waiting: list[_Tokens] = []
    for record, tokens, is_end in zip(records, encoded, ends, strict=True):
        waiting.append(tokens)
        alone = record.get("document") == ALONE
        if is_end and separator is not None and (ends_documents or (pack and not alone)):
            waiting.append(_special(separator, int(tokens.records[-1])))
        if is_end and (alone or not pack):
            yield from _cut(waiting, words)
            waiting = []
    yield from _cut(waiting, words)


def _document_ends(records: Sequence[Record]) -> list[bool]:
    """For each record whether its document ends with it; one without a document is one by itself."""
    names = [record.get("document", number) for number, record in enumerate(records)]
    return [name == ALONE or name != after for name, after in zip(names, [*names, None][1:], strict=True)]


def _encoded(
    records: Sequence[Record], first: int, words: WordEncoder, ends: Sequence[bool], line_end: str
) -> Iterator[_Tokens]:
    tokenizer = words.tokenizer
    special = np.array(sorted(tokenizer.all_special_ids))
    texts = [text_of(record) + ("" if end else line_end) for record, end in zip(records, ends, strict=True)]
    encodings = tokenizer(
        texts, add_special_tokens=False, truncation=False, return_attention_mask=False, return_token_type_ids=False,
        verbose=False,
    ).encodings if texts else []  # fmt: skip
    for number, (record, encoding) in enumerate(zip(records, encodings, strict=True), start=first):
        ids = np.array(encoding.ids or [_filler(tokenizer)], dtype=np.int64)
        of_words = np.array([-1 if word is None else word for word in encoding.word_ids] or [0], dtype=np.int64)
        of_words[np.isin(ids, special)] = NO_WORD
        yield _Tokens(ids, of_words, np.full(len(ids), number), _hit_tokens(record, encoding.offsets, len(ids)))


def text_of(record: Record) -> str:
    """The record's text, or its tokens with spaces between them."""
    return str(record["text"]) if "text" in record else " ".join(record["tokens"])


def _hit_tokens(record: Record, offsets: Sequence[tuple[int, int]], size: int) -> NDArray[np.bool_]:
    """Which tokens stand in a hit of a rule that is no veto."""
    marked = np.zeros(size, dtype=np.bool_)
    spans = [(start, end) for start, end, _, _, _, veto in record.get("hits", ()) if not veto]
    if not spans or not offsets:
        return marked
    if "tokens" in record:
        begins = np.concatenate([[0], np.cumsum([len(token) + 1 for token in record["tokens"]])])
        spans = [(int(begins[start]), int(begins[end]) - 1) for start, end in spans]
    places = np.array(offsets)
    for start, end in spans:
        marked |= (places[:, 0] < end) & (places[:, 1] > start)
    return marked


def _separator(words: WordEncoder) -> int | None:
    for name in ("sep_token_id", "eos_token_id"):
        if (found := getattr(words.tokenizer, name, None)) is not None:
            return int(found)
    return None


def _filler(tokenizer: Any) -> int:
    """What stands for a text of which the tokenizer keeps nothing."""
    for name in ("unk_token_id", "eos_token_id", "pad_token_id"):
        if (found := getattr(tokenizer, name, None)) is not None:
            return int(found)
    return 0


def _special(token: int, record: int) -> _Tokens:
    return _Tokens(np.array([token]), np.array([NO_WORD]), np.array([record]), np.array([False]))


def _cut(parts: Sequence[_Tokens], words: WordEncoder) -> Iterator[Row]:
    """Rows as long as the window, the last one as long as it comes."""
    if not parts:
        return
    ids, of_words, records, hits = (np.concatenate(column) for column in zip(*parts, strict=True))
    fresh = np.concatenate([[True], records[1:] != records[:-1]])  # where a record begins
    of_words = _numbered(of_words, fresh)
    for start in range(0, len(ids), words.room):
        part = slice(start, start + words.room)
        begins = np.flatnonzero(fresh[part])
        opens = bool(fresh[start])
        begins = begins if opens else np.concatenate([[0], begins])
        before, after = len(words.prefix), len(words.suffix)
        yield Row(
            np.concatenate([words.prefix, ids[part], words.suffix]).astype(np.int64),
            np.concatenate([np.full(before, NO_WORD), _from_zero(of_words[part]), np.full(after, NO_WORD)]),
            np.concatenate([np.zeros(before, np.bool_), hits[part], np.zeros(after, np.bool_)]),
            records[part][begins].tolist(),
            (begins + before).tolist(),
            opens,
        )


def _numbered(of_words: Numbers, fresh: NDArray[np.bool_]) -> Numbers:
    """Each word's own number, counted through all records."""
    begins = fresh | np.concatenate([[True], of_words[1:] != of_words[:-1]])
    return np.where(of_words == NO_WORD, NO_WORD, np.cumsum(begins) - 1)


def _from_zero(of_words: Numbers) -> Numbers:
    """Numbers of the words of one row, without gaps."""
    _, numbers = np.unique(of_words[of_words != NO_WORD], return_inverse=True)
    result = np.full(len(of_words), NO_WORD, dtype=np.int64)
    result[of_words != NO_WORD] = numbers
    return result
