"""Running text in rows: every token once, at its place, with the record that it is of."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_lightning.encoding.packing import ALONE, NO_WORD, Row, rows_of
from rag_lightning.encoding.words import WordEncoder
from rag_lightning.model.tokenizer import load_tokenizer

TEXTS = ["Please renew my books.", "Is the hall free on Friday?", "", "wifi", "Wolverhampton unrenewable " * 12, "End."]


@pytest.fixture(scope="module")
def words(tiny_model: Path) -> WordEncoder:
    return WordEncoder(load_tokenizer(tiny_model), max_length=24)


def records(*documents: str) -> list[dict[str, Any]]:
    given = enumerate(zip(TEXTS, documents, strict=True))
    return [{"id": str(i), "text": text, "document": name} for i, (text, name) in given]


def ids(words: WordEncoder, text: str) -> list[int]:
    found: list[int] = words.tokenizer(text, add_special_tokens=False)["input_ids"]
    return found or [words.tokenizer.unk_token_id]


def inner(rows: list[Row], words: WordEncoder) -> list[int]:
    return [token for row in rows for token in row.ids[len(words.prefix) : -len(words.suffix)].tolist()]


def test_documents_follow_each_other_with_a_separator_between(words: WordEncoder) -> None:
    rows = list(rows_of(records(*"aabbcc"), 10, words, pack=True))
    parts = [ids(words, text) for text in TEXTS]
    sep = [words.tokenizer.sep_token_id]
    expected = parts[0] + parts[1] + sep + parts[2] + parts[3] + sep + parts[4] + parts[5] + sep
    assert inner(rows, words) == expected
    assert all(len(row.ids) == 24 for row in rows[:-1]) and len(rows) == -(-len(expected) // words.room)
    assert all(row.ids[0] == words.prefix[0] and row.ids[-1] == words.suffix[0] for row in rows)


@pytest.mark.parametrize("pack", [True, False])
def test_every_record_is_opened_once_and_every_token_has_its_record(words: WordEncoder, pack: bool) -> None:
    given = records(*"aabbcc")
    rows = list(rows_of(given, 10, words, pack=pack))
    tokens: dict[int, list[int]] = {}
    opened = []
    for row in rows:
        assert row.begins == sorted(row.begins) and row.begins[0] == len(words.prefix)
        opened += row.stretches if row.opens else row.stretches[1:]
        ends = [*row.begins[1:], len(row.ids) - len(words.suffix)]
        for number, begin, end in zip(row.stretches, row.begins, ends, strict=True):
            tokens.setdefault(number, []).extend(row.ids[begin:end].tolist())
    assert opened == list(range(10, 16))
    separators = {11, 13, 15} if pack else set()
    for number, text in enumerate(TEXTS, start=10):
        closed = [words.tokenizer.sep_token_id] if number in separators else []
        assert tokens[number] == ids(words, text) + closed


def test_a_document_may_have_windows_of_its_own(words: WordEncoder) -> None:
    rows = list(rows_of(records(*"aabbcc"), 0, words, pack=False))
    assert all(len({number // 2 for number in row.stretches}) == 1 for row in rows)
    assert len(rows) > len(list(rows_of(records(*"aabbcc"), 0, words, pack=True)))
    assert words.tokenizer.sep_token_id not in inner(rows, words)


def test_texts_that_stand_alone_are_not_packed(words: WordEncoder) -> None:
    given = [{"id": str(i), "text": TEXTS[i], "document": ALONE} for i in (0, 1, 3)]
    assert [row.stretches for row in rows_of(given, 0, words, pack=True)] == [[0], [1], [2]]
    # Records without a document are each one, and are packed.
    bare = [{"id": str(i), "text": TEXTS[i]} for i in (0, 3)]
    (row,) = rows_of(bare, 0, words, pack=True)
    assert row.stretches == [0, 1] and (row.ids == words.tokenizer.sep_token_id).sum() == 3


def test_words_are_numbered_and_special_tokens_are_none(words: WordEncoder) -> None:
    for row in rows_of(records(*"aabbcc"), 0, words, pack=True):
        special = np.isin(row.ids, words.tokenizer.all_special_ids)
        assert ((row.words == NO_WORD) == special).all()
        numbers = row.words[~special]
        assert numbers[0] == 0 and set(np.diff(numbers)) <= {0, 1}
    pieces = words.tokenizer.convert_ids_to_tokens(row.ids.tolist())
    for before, after, other in zip(row.words, row.words[1:], pieces[1:], strict=False):
        if NO_WORD not in (before, after):
            assert (before == after) == other.startswith("##")


def test_special_words_in_a_text_stay_text(words: WordEncoder) -> None:
    (row,) = rows_of([{"id": "0", "text": "a [SEP] b [MASK]"}], 0, words, pack=True)
    assert words.tokenizer.mask_token_id not in row.ids
    assert (row.ids == words.tokenizer.sep_token_id).sum() == 2  # of the document and of the row


def test_hits_mark_tokens_of_texts_and_of_words(words: WordEncoder) -> None:
    text = "Please renew Wolverhampton books"
    hit, veto = [7, 26, "x", "rule", 0, False], [0, 6, "x", "other", 0, True]
    (by_text,) = rows_of([{"id": "0", "text": text, "hits": [veto, hit]}], 0, words, pack=True)
    tokens = {"id": "0", "tokens": text.split(), "hits": [[1, 3, "x", "r", 0, False]]}
    (by_words,) = rows_of([tokens], 0, words, pack=True)
    assert (by_text.hits == by_words.hits).all() and (by_text.ids == by_words.ids).all()
    marked = words.tokenizer.decode(by_text.ids[by_text.hits])
    assert marked.replace(" ", "") == "renewWolverhampton"


def test_nothing_gives_no_row(words: WordEncoder) -> None:
    assert list(rows_of([], 0, words, pack=True)) == []
