"""Loading as a whole, and the fingerprint of the content."""

import json

import pytest

from rag_lightning.data.load import content_fingerprint, load_splits
from rag_lightning.errors import UserError


def conll(words, tag="B-PER"):
    return "".join(f"{word} {tag}\nis O\n\n" for word in words)


def test_three_files_need_no_note(write, data_config):
    for split, words in (("train", ["a", "b"]), ("valid", ["c"]), ("test", ["d"])):
        path = write(f"{split}.conll", conll(words))
    data = load_splits(data_config(path=path.parent), seed=1)
    assert {split: [r["id"] for r in records] for split, records in data.splits.items()} == {
        "train": ["train-0", "train-1"], "validation": ["validation-0"], "test": ["test-0"],
    }  # fmt: skip
    assert data.notes == []
    assert [file.name for file in data.files] == ["train.conll", "valid.conll", "test.conll"]


def test_one_file_is_divided_and_that_is_said(write, data_config):
    path = write("all.conll", conll([f"w{i}" for i in range(100)]))
    data = load_splits(data_config(path=path), seed=1)
    assert {split: len(records) for split, records in data.splits.items()} == {
        "train": 70,
        "validation": 15,
        "test": 15,
    }
    assert data.notes == [
        "The data have no validation and no test split: validation (15 examples) and test (15 examples) were cut from "
        "the 100 training examples, 70 are left (data.split.seed=0, stratified by label types, near-duplicates kept on "
        "one side)."
    ]
    # the run's seed does not change what is tested
    assert load_splits(data_config(path=path), seed=2).splits == data.splits
    other = data_config(path=path, split={"validation": 0.15, "test": 0.15, "seed": 1})
    assert load_splits(other, seed=1).splits != data.splits


def test_only_the_missing_split_is_cut_and_a_share_of_0_means_none(write, data_config):
    write("train.conll", conll([f"w{i}" for i in range(100)]))
    folder = write("test.conll", conll(["x", "y"])).parent
    data = load_splits(data_config(path=folder), seed=1)
    assert {split: len(records) for split, records in data.splits.items()} == {"train": 85, "validation": 15, "test": 2}
    assert data.notes[0].startswith("The data have no validation split: validation (15 examples) was cut from")
    none = load_splits(data_config(path=folder, split={"validation": 0}), seed=1)
    assert list(none.splits) == ["train", "test"]
    assert none.notes == []


def test_limits(write, data_config):
    path = write("all.conll", conll([f"w{i}" for i in range(100)]) + conll(["x", "y"], "B-ORG") + conll(["z"], "B-LOC"))
    config = data_config(path=path, split={"validation": 0, "test": 0.2}, limit={"train": 2, "test": 1000})
    data = load_splits(config, seed=5)
    assert len(data.splits["train"]) == 2
    assert (
        "2 examples of 82 kept for train (data.limit.train, seed 5, stratified by label types); none of them has"
        in data.notes[1]
    )
    assert data.notes[2] == "data.limit.test=1,000 changes nothing: there are 21 examples."
    one = load_splits(
        data_config(path=write("one.conll", conll(["a"])), limit={"train": 9}, split={"validation": 0, "test": 0}), 1
    )
    assert "data.limit.train=9 changes nothing: there is 1 example." in one.notes


def test_examples_of_train_that_stand_in_test_are_counted(write, data_config):
    write("train.conll", conll(["a", "b"]))
    write("dev.conll", conll(["c"]))
    folder = write("test.conll", conll(["a", "c", "d"])).parent
    assert load_splits(data_config(path=folder), 1).notes == ["1 of 3 test examples stands word for word in train too."]


def test_examples_without_words_are_left_out_and_said(write, data_config):
    rows = [{"tokens": [f"w{i}"], "tags": ["O"]} for i in range(20)]
    path = write("all.jsonl", "\n".join(map(json.dumps, [*rows, {"tokens": [], "tags": []}])))
    data = load_splits(data_config("jsonl", path=path), 1)
    assert sum(map(len, data.splits.values())) == 20
    assert data.notes[0] == "1 example of train had no word and was left out."


def test_duplicate_ids_over_several_files_of_a_split(write, data_config):
    write("a.jsonl", '{"id": 1, "tokens": ["a"], "tags": ["O"]}')
    folder = write("b.jsonl", '\n{"id": 1, "tokens": ["b"], "tags": ["O"]}').parent
    with pytest.raises(UserError, match=r"b\.jsonl:2: the id '1' stands twice, first at a\.jsonl:1"):
        load_splits(data_config("jsonl", path=folder, files={"train": ["*.jsonl"]}), 1)


def test_the_embedded_sample(data_config):
    data = load_splits(data_config("ner_sample"), 1)
    assert list(data.splits) == ["train", "validation", "test"]
    assert len(data.splits["train"]) >= 250
    assert data.notes == []


def test_fingerprint_is_of_the_content_only(write, data_config):
    first = write("one/train.conll", conll(["a"]))
    second = write("two/train.conll", conll(["a"]))
    write("two/README.md", "no data")
    assert content_fingerprint(data_config(path=first.parent)) == content_fingerprint(data_config(path=second))
    before = content_fingerprint(data_config(path=second.parent))
    write("two/train.conll", conll(["b"]))
    assert content_fingerprint(data_config(path=second.parent)) != before
    write("two/train.conll", conll(["a"]))
    write("two/test.conll", conll(["a"]))
    assert content_fingerprint(data_config(path=second.parent)) != before


def test_fingerprint_of_the_hub_needs_no_network(data_config):
    a, b = (content_fingerprint(data_config("conll2003", revision=r)) for r in ("main", "refs/convert/parquet"))
    assert a != b


def test_real_data_divide_in_time(shared, data_config):
    data = load_splits(data_config(path=shared / "data/conll2003/eng.train"), 1)
    assert {split: round(len(part) / 14041, 2) for split, part in data.splits.items()} == {
        "train": 0.7, "validation": 0.15, "test": 0.15,
    }  # fmt: skip
    assert not [note for note in data.notes if "word for word" in note]
