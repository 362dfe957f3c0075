"""What a sweep leaves on disk can be read back, and a broken record counts as none."""

from pathlib import Path

import pytest

from rag_lightning.errors import UserError
from rag_lightning.sweep.record import (
    TRIALS,
    Question,
    Record,
    key_of,
    read_question,
    read_record,
    read_records,
    write_question,
    write_record,
)


def test_records_come_back_in_the_order_of_trials(tmp_path: Path) -> None:
    values = {"optimizer.lr": "1e-5"}
    second = Record("b", 1, ("task=ner",), values, "failed", "RuntimeError: boom", inputs={"/data/x": (3, 5)})
    first = Record("a", 0, ("task=ner", "seed=2"), values, "finished", score=0.5, metrics={"test/f1": 0.4})
    for record in (second, first):
        write_record(tmp_path, record)
    assert read_records(tmp_path) == [first, second]


def test_a_broken_record_counts_as_none(tmp_path: Path) -> None:
    write_record(tmp_path, Record("a", 0, (), {}))
    (tmp_path / TRIALS / "a.json").write_text('{"key": ')
    assert read_record(tmp_path, "a") is None
    assert read_records(tmp_path) == []


def test_the_key_does_not_hang_on_the_order_of_overrides() -> None:
    assert key_of(["a=1", "b=2"]) == key_of(["b=2", "a=1"]) != key_of(["a=1", "b=3"])


def test_a_question_comes_back(tmp_path: Path) -> None:
    question = Question("lr", ("train", "-m"), ("task=ner",), {"optimizer.lr": "1e-5,3e-5"}, 2, "ner", "f1")
    write_question(tmp_path, question)
    assert read_question(tmp_path) == question


def test_a_folder_without_a_sweep_names_those_beside_it(tmp_path: Path) -> None:
    write_question(tmp_path / "mine", Question("x", (), (), {}, 1, "ner", "f1"))
    with pytest.raises(UserError, match="mine"):
        read_question(tmp_path / "other")
