"""Which file is which split."""

import gzip

import pytest

from rag_lightning.data.files import find_files, find_sample, unlabelled_sample
from rag_lightning.errors import UserError

NAMES = [
    ("conll", "train.conll", "validation.conll", "test.conll"),
    ("conll", "train.txt", "valid.txt", "test.txt"),
    ("conll", "eng.train", "eng.testa", "eng.testb"),
    ("conll", "train.txt", "testa.txt", "testb.txt"),
    ("conll", "wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
    ("conll", "weiboNER_2nd_conll.train", "weiboNER_2nd_conll.dev", "weiboNER_2nd_conll.test"),
    ("conll", "train.char.bmes", "dev.char.bmes", "test.char.bmes"),
    ("conll", "Train.conll.gz", "Dev.conll.gz", "Test.conll.gz"),
    ("jsonl", "train.jsonl", "dev.json", "my_test_set.jsonl"),
    ("csv", "train.csv", "val.tsv", "test.csv"),
    ("parquet", "train.parquet", "validation.parquet", "test.parquet"),
]


@pytest.mark.parametrize(("format", "train", "validation", "test"), NAMES)
def test_conventional_names(tmp_path, data_config, format, train, validation, test):
    for name in (train, validation, test, "README.md", "train_notes.md", ".train.conll.swp", "tokenizer.py"):
        (tmp_path / name).touch()
    found = find_files(data_config(format, path=tmp_path))
    assert {split: [file.name for file in files] for split, files in found.items()} == {
        "train": [train], "validation": [validation], "test": [test],
    }  # fmt: skip


def test_one_file_stands_under_train(tmp_path, data_config):
    file = tmp_path / "everything.conll"
    file.touch()
    for path in (file, tmp_path):
        assert find_files(data_config(path=path)) == {"train": [file]}


def test_named_files_and_patterns(tmp_path, data_config):
    for name in ("a1.conll", "a2.conll", "b.conll"):
        (tmp_path / name).touch()
    config = data_config(path=tmp_path, files={"train": ["c*.conll", "a*.conll"], "test": "b.conll"})
    found = find_files(config)
    assert [file.name for file in found["train"]] == ["a1.conll", "a2.conll"]
    assert [file.name for file in found["test"]] == ["b.conll"]
    absolute = data_config(files={"train": str(tmp_path / "b.conll")})
    assert find_files(absolute) == {"train": [tmp_path / "b.conll"]}


@pytest.mark.parametrize(
    ("there", "changes", "where", "said"),
    [
        ([], {"path": None}, "data.path", "needs a file or folder.*Set data.path=folder"),
        ([], {"path": "nowhere"}, "data.path", "there is no file or folder"),
        ([], {}, "data.path", "no training file .* holds no files"),
        (
            ["dev.conll", "test.conll"],
            {},
            "data.path",
            "no training file.*holds dev.conll, test.conll.*data.files.train=",
        ),
        (["corpus.zip", "README"], {}, "data.path", "no training file.*Unpack corpus.zip"),
        (
            ["x.tar.gz"],
            {"files": {"train": "c*"}},
            "data.files.train",
            "holds x.tar.gz.*Unpack x.tar.gz",
        ),
        (["a.conll", "b.conll"], {}, "data.path", "no training file.*holds a.conll, b.conll"),
        (["a.train", "b.train"], {}, "data.path", "several files.*a.train, b.train.*data.files.train=a.train"),
        (
            ["train.conll"],
            {"files": {"test": "tset.conll"}},
            "data.files.test",
            "matches tset.conll; the folder holds train",
        ),
        (
            ["gold.conll"],
            {"files": {"train": "glod.conll"}},
            "data.files.train",
            "Did you mean data.files.train=gold.conll",
        ),
    ],
)
def test_missing_files_are_said(tmp_path, data_config, there, changes, where, said):
    for name in there:
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=said) as caught:
        find_files(data_config(**({"path": tmp_path} | changes)))
    assert caught.value.where == where


def test_misspelt_folder_names_the_one_beside_it(tmp_path, data_config):
    (tmp_path / "corpus").mkdir()
    with pytest.raises(UserError, match="Did you mean .*corpus"):
        find_files(data_config(path=tmp_path / "corpsu"))


def test_samples_are_found_in_the_package(data_config):
    found = find_sample(data_config("ner_sample"))
    assert list(found) == ["train", "validation", "test"]
    assert len(unlabelled_sample().read_text("utf-8").splitlines()) >= 400
    for name in ("nre", "../samples"):
        with pytest.raises(UserError, match="no embedded sample.*Choose one of: banking, classification, .*ner, "):
            find_sample(data_config("ner_sample", path=name))


def test_gzip_is_read_through(write, data_config):
    from rag_lightning.data.load import load_splits

    path = write("train.conll.gz", gzip.compress(b"EU B-ORG\n\nx O\n\ny O\n\nz B-ORG\n"))
    assert sum(map(len, load_splits(data_config(path=path), 1).splits.values())) == 4
