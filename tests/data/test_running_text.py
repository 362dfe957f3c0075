"""Running text that is read when it is asked for: its places, its divisions, its mistakes, its memory."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_yaml import RUNNING_TEXT

from rag_lightning.data import running_text
from rag_lightning.data.load import load_split, load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.data.pieces import PIECE
from rag_lightning.data.running_text import Paragraphs
from rag_lightning.errors import UserError

Writer = Callable[[str, str | bytes], Path]
Config = Callable[..., DataConfig]
WHOLE = {"split": {"validation": 0, "test": 0}}


def read(config: DataConfig, split: str = "train") -> Any:
    return load_splits(config, 1, RUNNING_TEXT).splits[split]


def texts(write: Writer, data_config: Config, content: str | bytes, **changes: Any) -> list[str]:
    return [record["text"] for record in read(data_config("texts", path=write("a.txt", content), **WHOLE, **changes))]


def test_records_are_read_by_place(write: Writer, data_config: Config) -> None:
    write("b.txt", "six\n\nseven\n")
    path = write("a.txt", "one\ntwo\n\n three \nfour\nfive")
    records = read(data_config("texts", path=path.parent, **WHOLE))
    assert isinstance(records, Paragraphs) and len(records) == 7
    assert records[2] == {"id": "train-2", "source": "a.txt:4", "text": "three", "document": "a.txt:4"}
    assert [record["text"] for record in records[3:6]] == ["four", "five", "six"]
    assert records[-1] == {"id": "train-6", "source": "b.txt:3", "text": "seven", "document": "b.txt:3"}
    assert list(records) == records[:] and [r["id"] for r in records] == [f"train-{i}" for i in range(7)]
    assert records[6:2:-2] == [records[6], records[4]]
    with pytest.raises(IndexError):
        records[7]


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        ("Zürich\r\n\r\n漢字 🙂\r\n".encode(), {}),
        ("\ufeffZürich\n\n漢字 🙂".encode(), {}),
        ("Zürich\r\r漢字 🙂\r".encode(), {}),
        ("Zürich\n\n漢字 🙂\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("Zürich\n\n漢字 🙂\n".encode("gb18030"), {"encoding": "gb18030"}),
        ("Zürich\n\n漢字 🙂\n".encode("utf-8-sig"), {"encoding": "utf-8-sig"}),
    ],
)
def test_every_line_end_and_encoding(
    write: Writer, data_config: Config, content: bytes, changes: dict[str, str]
) -> None:
    records = read(data_config("texts", path=write("a.txt", content), **WHOLE, **changes))
    assert [(r["text"], r["document"]) for r in records] == [("Zürich", "a.txt:1"), ("漢字 🙂", "a.txt:3")]


def test_a_packed_file_that_changes_is_read_anew(write: Writer, data_config: Config) -> None:
    for text in ("before", "afterwards"):
        path = write("a.txt.gz", gzip.compress(text.encode()))
        assert read(data_config("texts", path=path, **WHOLE))[0]["text"] == text


@pytest.mark.parametrize("unit", ["word ", "ü", "漢", "🙂", "a"])
def test_a_file_that_is_one_line_is_cut_into_whole_characters_and_words(
    write: Writer, data_config: Config, unit: str
) -> None:
    content = (unit * (3 * PIECE)).strip()
    pieces = texts(write, data_config, content + "\nnext line")
    assert pieces[-1] == "next line" and len(pieces) > 3
    assert all(len(piece.encode()) <= PIECE for piece in pieces)
    joint = " " if unit == "word " else ""
    assert joint.join(pieces[:-1]) == content
    records = read(data_config("texts", path=write("a.txt", content + "\nnext line"), **WHOLE))
    assert {record["document"] for record in records} == {"a.txt:1"}
    assert [records[0]["source"], records[1]["source"], records[-1]["source"]] == ["a.txt:1", "a.txt:1", "a.txt:2"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"fine\n\xff\xfeno", r"a.txt:2: the file is not UTF-8: byte 0xff at offset 5"),
        ("a\nb\n".encode("utf-16"), r"a.txt:1: the file is in UTF-16"),
        (b"a\nb\x00c\n", r"a.txt:2: a NUL character stands at character 2 of the line"),
        (b"\n \n", r"a.txt: the file is empty"),
    ],
)
def test_files_that_are_no_text(write: Writer, data_config: Config, content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        texts(write, data_config, content)
    assert caught.value.remedy


def documents(write: Writer, number: int) -> Path:
    return write("a.txt", "\n\n".join(f"a {i}\nb {i}" for i in range(number)))


def owners(splits: dict[str, Any]) -> dict[str, list[str]]:
    return {split: sorted({record["document"] for record in records}) for split, records in splits.items()}


def test_the_last_documents_are_the_test(write: Writer, data_config: Config) -> None:
    split = {"validation": 0.1, "test": 0.2, "by": "document", "order": "file"}
    data = load_splits(data_config("texts", path=documents(write, 20), split=split), 1, RUNNING_TEXT)
    found = {name: [int(record["text"].split()[1]) for record in records] for name, records in data.splits.items()}
    assert found["test"] == sorted(found["test"]) and min(found["test"]) > max(found["validation"])
    assert min(found["validation"]) > max(found["train"]) and len(found["train"]) + len(found["test"]) < 40
    assert "the last ones in the order of the files" in data.notes[0]


def test_the_division_has_its_own_seed_and_loses_nothing(write: Writer, data_config: Config) -> None:
    path = documents(write, 50)

    def divided(seed: int, run_seed: int = 1) -> dict[str, list[str]]:
        split = {"validation": 0.2, "test": 0.2, "seed": seed, "by": "document"}
        return owners(load_splits(data_config("texts", path=path, split=split), run_seed, RUNNING_TEXT).splits)

    first = divided(0)
    assert first == divided(0, run_seed=5) != divided(1)
    assert sum(map(len, first.values())) == 50 and 9 <= len(first["test"]) <= 11


def test_a_book_without_documents_can_be_divided_by_paragraphs(write: Writer, data_config: Config) -> None:
    path = write("a.txt", "\n".join(f"line {i}" for i in range(20)))
    with pytest.raises(UserError, match="1 document cannot be divided into train, validation and test.*split.by=null"):
        read(data_config("texts", path=path))
    split = {"validation": 0.1, "test": 0.1, "by": None}
    data = load_splits(data_config("texts", path=path, split=split), 1, RUNNING_TEXT)
    sizes = {split: len(records) for split, records in data.splits.items()}
    assert sum(sizes.values()) == 20 and sizes["validation"] in (2, 3) and sizes["test"] in (2, 3)  # by bytes
    assert "paragraph by paragraph" in data.notes[0]
    with pytest.raises(UserError, match="no field `title`"):
        read(data_config("texts", path=path, split={**split, "by": "title"}))


def test_limits_are_nested_and_told(write: Writer, data_config: Config) -> None:
    path = documents(write, 30)
    kept = []
    for size in (5, 9):
        data = load_splits(data_config("texts", path=path, limit={"train": size}, **WHOLE), 1, RUNNING_TEXT)
        kept.append([record["text"] for record in data.splits["train"]])
        assert data.notes == [f"{size} examples of 60 kept for train (data.limit.train, seed 1)."]
    assert len(kept[0]) == 5 and set(kept[0]) < set(kept[1])


def test_repeated_texts_are_told(write: Writer, data_config: Config) -> None:
    write("train.txt", "one  two\nthree\n")
    write("test.txt", "four\none two\n")
    path = write("valid.txt", "five\n")
    data = load_splits(data_config("texts", path=path.parent), 1, RUNNING_TEXT)
    assert data.notes == ["1 of 2 test examples stands word for word in train too."]


def test_shots_mean_nothing_without_labels(write: Writer, data_config: Config) -> None:
    with pytest.raises(UserError, match="no labels that could be left out"):
        read(data_config("texts", path=documents(write, 5), shots=3, **WHOLE))


def test_a_split_alone(write: Writer, data_config: Config) -> None:
    records = load_split(data_config("texts", path=documents(write, 3)), "test", RUNNING_TEXT).splits["test"]
    assert isinstance(records, Paragraphs) and records[0]["id"] == "test-0" and len(records) == 6


def test_changes_are_made_when_records_are_read(write: Writer, data_config: Config) -> None:
    seen: list[int] = []

    def change(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        seen.append(len(records))
        return [{**record, "hits": []} for record in records]

    records = read(data_config("texts", path=documents(write, 5), **WHOLE)).mapped(change)
    assert seen == [] and records[3:5][0]["hits"] == [] and seen == [2]
    assert records.take(np.array([7]), "test")[0] == {**records[7], "id": "test-0"}


def test_memory_does_not_grow_with_the_text(
    write: Writer, data_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_text, "_AT_ONCE", 50)
    line = "ninety characters of text, give or take a few, repeated until a paragraph of it is long enough. " * 20
    write("a.txt", f"{line}\n" * 4000)  # 8 MB
    config = data_config("texts", path=write("b.txt", "end\n").parent, **WHOLE)
    tracemalloc.start()
    records = read(config)
    size = sum(len(record["text"]) for record in records)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(records) == 4001 and size > 7_500_000
    assert peak < 1_500_000
