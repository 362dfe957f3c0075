"""The embedded samples of the tasks are what their cards say."""

import csv
import json
from collections import Counter
from importlib.resources import files

import pytest
from data_yaml import DIALOGUES, MANY_LABELS, PAIRS, QUESTIONS, RELATIONS, RUNNING_TEXT, TEXTS, WRITING

from rag_lightning.data.load import load_splits
from rag_lightning.data.near_duplicates import groups_of

SAMPLES = files("rag_lightning.data") / "samples"
SIZES = {
    "matching": (PAIRS, 150, 42, 60),
    "relation": (RELATIONS, 150, 42, 60),
    "qa": (QUESTIONS, 185, 41, 64),
    "translation": (WRITING, 174, 35, 55),
    "summarization": (WRITING, 133, 30, 41),
    "dialogue": (DIALOGUES, 160, 34, 46),
    "pretraining": (RUNNING_TEXT, 236, 30, 30),
    "multilabel": (MANY_LABELS, 144, 30, 42),
}


@pytest.fixture
def splits(data_config):
    return lambda name: load_splits(data_config(f"{name}_sample"), 1, SIZES[name][0]).splits


@pytest.mark.parametrize("name", SIZES)
def test_sizes_card_and_licence(name, data_config):
    reading, *sizes = SIZES[name]
    data = load_splits(data_config(f"{name}_sample"), 1, reading)
    assert [len(records) for records in data.splits.values()] == sizes and sum(sizes) >= 200
    assert data.notes == []
    header = (SAMPLES.parents[2] / "conf" / "data" / f"{name}_sample.yaml").read_text("utf-8")
    assert "/".join(map(str, sizes)) in header
    assert "CC0 1.0" in (SAMPLES / name / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", [name for name in SIZES if name not in ("qa", "dialogue")])
def test_no_example_stands_in_two_splits(name, splits):
    records = [record | {"split": 0} for records in splits(name).values() for record in records]
    assert len(set(groups_of(records))) == len(records)


def test_the_financial_sample_is_balanced(data_config):
    splits = load_splits(data_config("financial_sample"), 1, TEXTS).splits
    assert [len(records) for records in splits.values()] == [90, 30, 30]
    records = [record for records in splits.values() for record in records]
    assert len(set(groups_of(records))) == 150
    for name in splits:
        rows = map(json.loads, (SAMPLES / "financial" / f"{name}.jsonl").read_text("utf-8").splitlines())
        cells = Counter((row["topic"], row["label"]) for row in rows)
        assert len(cells) == 15 and len(set(cells.values())) == 1
    assert "CC0 1.0" in (SAMPLES / "financial" / "README.md").read_text("utf-8")


def test_the_banking_sample_is_balanced_and_what_is_out_of_scope_is_apart(data_config):
    splits = load_splits(data_config("banking_sample"), 1, TEXTS).splits
    for records, each in zip(splits.values(), (8, 3, 3), strict=True):
        counts = Counter(record["label"] for record in records)
        assert len(counts) == 12 and set(counts.values()) == {each}
    outside = [
        json.loads(line) for line in (SAMPLES / "banking" / "out_of_scope.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(outside) == 40 and not any("label" in row for row in outside)
    records = [record for records in splits.values() for record in records] + outside
    assert len(set(groups_of([{**record, "split": 0} for record in records]))) == 208
    assert "CC0 1.0" in (SAMPLES / "banking" / "README.md").read_text("utf-8")


def test_pairs_and_relations_are_balanced(splits):
    for records in splits("matching").values():
        assert len(set(Counter(record["label"] for record in records).values())) == 1
        assert all(0 <= record["score"] <= 5 for record in records)
    relations = splits("relation")
    labels = {record["label"] for record in relations["train"]}
    assert len(labels) == 11 and all({r["label"] for r in records} == labels for records in relations.values())
    kinds = {record[side]["type"] for record in relations["train"] for side in ("first", "second")}
    assert kinds == {"PER", "ORG", "LOC", "WORK"}


def test_questions_without_answer_and_with_several(splits):
    counts = {split: Counter(len(r["answers"]) for r in records) for split, records in splits("qa").items()}
    assert counts == {"train": {0: 35, 1: 150}, "validation": {0: 8, 1: 6, 2: 21, 3: 6},
                      "test": {0: 14, 1: 11, 2: 29, 3: 10}}  # fmt: skip


def test_summaries_have_two_references_where_they_are_judged(splits):
    for split, records in splits("summarization").items():
        assert {type(record["target"]) for record in records} == {str if split == "train" else list}


def test_every_term_of_the_glossary_is_translated(splits):
    with (SAMPLES / "translation" / "glossary.csv").open(encoding="utf-8", newline="") as stream:
        terms = [row["source"] for row in csv.DictReader(stream)]
    texts = [record["text"].lower() for records in splits("translation").values() for record in records]
    assert len(terms) == 40
    assert all(sum(term.lower() in text for text in texts) >= 3 for term in terms)


def test_dialogues_alternate_and_name_their_knowledge(splits):
    lines = (SAMPLES / "dialogue" / "knowledge.jsonl").read_text("utf-8").splitlines()
    entries = {json.loads(line)["id"] for line in lines}
    assert len(entries) == 66
    for record in (record for records in splits("dialogue").values() for record in records):
        roles = [turn["role"] for turn in record["turns"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert set(record["knowledge"]) <= entries


def test_documents_of_running_text(splits):
    assert [len({r["document"] for r in records}) for records in splits("pretraining").values()] == [78, 10, 10]


def test_labels_have_levels(splits):
    counts = Counter(len(record["labels"]) for records in splits("multilabel").values() for record in records)
    assert counts == {1: 96, 2: 99, 3: 21}
    train = {label for record in splits("multilabel")["train"] for label in record["labels"]}
    assert all("/" in label for label in train) and len({label.split("/")[0] for label in train}) > 1
