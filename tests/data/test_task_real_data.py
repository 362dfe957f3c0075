"""The real files, where they are there: the rows that they are known to have."""

import shutil
import zipfile
from collections import Counter

import pytest
from data_yaml import DIALOGUES, PAIRS, QUESTIONS, RELATIONS, RUNNING_TEXT, TEXTS, WRITING

from rag_lightning.data.load import load_splits

SIZES = {
    "mrpc": ("mrpc", PAIRS, {"train": 3465, "validation": 611, "test": 1725}),
    "stsb": ("stsb", PAIRS, {"train": 5749, "validation": 1500, "test": 1379}),
    "sick": ("sick", PAIRS, {"train": 4500, "validation": 500, "test": 4927}),
    "rte": ("rte", PAIRS, {"train": 2116, "validation": 374, "test": 277}),
    "semeval2010": ("semeval2010_task8", RELATIONS, {"train": 7200, "validation": 800, "test": 2717}),
    "squad": ("squad", QUESTIONS, {"train": 7331, "validation": 792, "test": 2447}),
    "multi30k": ("multi30k", WRITING, {"train": 29000, "validation": 1014, "test": 1000}),
    "tatoeba": ("tatoeba_cmn_eng", WRITING, {"train": 23749, "validation": 1319, "test": 1320}),
    "scitldr": ("scitldr", WRITING, {"train": 1992, "validation": 619, "test": 618}),
    "samsum": ("samsum", WRITING, {"train": 695, "validation": 123, "test": 819}),
    "dialogsum": ("dialogsum", WRITING, {"train": 425, "validation": 75, "test": 500}),
    "dailydialog": ("dailydialog", DIALOGUES, {"train": 896, "validation": 99, "test": 996}),
    "dailydialog_plusplus": ("dailydialog_plusplus", DIALOGUES, {"train": 7641, "validation": 1028, "test": 1142}),
    "chnsenticorp": ("chnsenticorp", TEXTS, {"train": 8640, "validation": 960, "test": 1200}),
}


@pytest.fixture
def load(shared, data_config):
    def load_folder(name, **changes):
        folder, reading, _ = SIZES[name]
        return load_splits(data_config(name, path=shared / "data" / folder, **changes), 1, reading)

    return load_folder


@pytest.mark.parametrize("name", SIZES)
def test_the_real_files(name, load):
    data = load(name)
    assert {split: len(records) for split, records in data.splits.items()} == SIZES[name][2]
    check = CHECKS.get(name)
    if check is not None:
        check(data.splits)


def _mrpc(splits):
    positive = Counter(record["label"] for records in splits.values() for record in records)["equivalent"]
    assert positive == 2753 + 1147
    assert splits["train"][0]["first"].startswith('Amrozi accused his brother, whom he called "the witness"')


def _stsb(splits):
    scores = [record["score"] for records in splits.values() for record in records]
    assert (min(scores), max(scores)) == (0, 5)
    assert all(record["first"].strip() and "\t" not in record["second"] for record in splits["train"])


def _sick(splits):
    labels = {record["label"] for records in splits.values() for record in records}
    assert labels == {"entailment", "neutral", "contradiction"}


def _semeval(splits):
    labels = Counter(r["label"] for split in ("train", "validation") for r in splits[split])
    assert len(labels) == 19 and labels["Other"] == 1410
    assert Counter(record["label"] for record in splits["test"])["Other"] == 454
    for record in splits["test"]:
        assert "<e" not in record["text"]
        assert record["first"]["start"] < record["second"]["start"]


def _squad(splits):
    titles = {split: {record["title"] for record in records} for split, records in splits.items()}
    assert len(titles["train"] | titles["validation"]) == 36 and len(titles["test"]) == 12
    assert sum(len(r["answers"]) for records in splits.values() for r in records) == 34_726
    assert len({record["context"] for records in splits.values() for record in records}) <= 2067


def _multi30k(splits):
    assert splits["train"][0]["target"] == "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche."


def _tatoeba(splits):
    sides = [{record["text"] for record in records} for records in splits.values()]
    assert len(set.union(*sides)) == sum(map(len, sides)) == 25_331  # no sentence on two sides


def _scitldr(splits):
    assert {len(record["target"]) for record in splits["train"]} == {1}
    assert {len(record["target"]) for record in splits["test"]} == {2, 3, 4}


def _samsum(splits):
    assert not any("\r" in record["text"] for records in splits.values() for record in records)


def _dialogsum(splits):
    assert {type(record["target"]) for record in splits["train"]} == {str}
    assert {len(record["target"]) for record in splits["test"]} == {3}


def _dailydialog(splits):
    turns = {split: sum(len(record["turns"]) for record in records) for split, records in splits.items()}
    assert turns["train"] + turns["validation"] == 8025 and turns["test"] == 7716


def _plusplus(splits):
    assert all(len(record["target"]) == 5 for records in splits.values() for record in records)
    assert "negatives" not in splits["train"][0] and splits["test"][0]["hard_negatives"]


CHECKS = {
    "mrpc": _mrpc, "stsb": _stsb, "sick": _sick, "semeval2010": _semeval, "squad": _squad, "multi30k": _multi30k,
    "tatoeba": _tatoeba, "scitldr": _scitldr, "samsum": _samsum, "dialogsum": _dialogsum,
    "dailydialog": _dailydialog, "dailydialog_plusplus": _plusplus,
}  # fmt: skip


def test_the_chinese_side_of_dailydialog(load):
    files = {"train": ["zh_dev_human.txt"], "validation": [], "test": ["zh_test_human.txt"]}
    splits = load("dailydialog", files=files).splits
    assert len(splits["test"]) == 996 and sum(len(record["turns"]) for record in splits["test"]) == 7716


def test_wikitext_is_divided_by_articles(shared, data_config):
    data = load_splits(data_config("wikitext", path=shared / "data" / "wikitext2"), 1, RUNNING_TEXT)
    assert [file.name for file in data.files] == ["wiki.valid.tokens", "wiki.test.tokens"]
    articles = {record["document"] for records in data.splits.values() for record in records}
    assert len(articles) == 60 + 62  # two formulae of the test file look like titles
    # every line's end counted as a token, blank lines too
    lines = (shared / "data/wikitext2/wiki.test.tokens").read_text("utf-8").split("\n")
    words = sum(len(record["text"].split()) for record in data.splits["test"])
    assert words + len(lines) - 1 == 245_569


@pytest.mark.slow
def test_brown_without_its_tags(shared, data_config, tmp_path):
    with zipfile.ZipFile(shared / "data" / "brown" / "brown.zip") as packed:
        packed.extractall(tmp_path)
    data = load_splits(data_config("brown", path=tmp_path / "brown"), 1, RUNNING_TEXT)
    records = [record for part in data.splits.values() for record in part]
    assert len(records) == 57_340 and sum(len(record["text"].split()) for record in records) == 1_161_192
    documents = [len({record["document"] for record in part}) for part in data.splits.values()]
    assert documents[0] > 440 and min(documents) >= 20 and sum(documents) == 500
    shutil.rmtree(tmp_path / "brown")
