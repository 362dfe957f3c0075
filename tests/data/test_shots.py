"""Few-shot data: nested, stratified, seeded; the rest is a pool without labels."""

import json
from collections import Counter

import pytest
from data_yaml import TEXTS
from pydantic import ValidationError

from rag_lightning.data.load import content_fingerprint, load_splits
from rag_lightning.data.reading import TAGGED_TOKENS
from rag_lightning.data.splits import label_types
from rag_lightning.errors import UserError

LABELS = ["a"] * 40 + ["b"] * 20 + ["c"] * 3


@pytest.fixture
def texts(write, data_config):
    """A config for 63 texts of three labels, and changes to it."""
    rows = [{"text": f"word{i} {label}{i}", "label": label} for i, label in enumerate(LABELS)]
    path = write("all.jsonl", "\n".join(map(json.dumps, rows)))

    def config(**changes):
        return data_config("jsonl", path=path, split={"validation": 0, "test": 0}, **changes)

    return config


def shots(config, seed=1, reading=TEXTS):
    data = load_splits(config, seed, reading=reading)
    return data, [record["id"] for record in data.splits["train"]]


def test_without_shots_nothing_changes(texts):
    data, chosen = shots(texts())
    assert list(data.splits) == ["train"] and len(chosen) == 63 and data.labels == ()


def test_the_rest_is_a_pool_without_labels(texts):
    data, chosen = shots(texts(shots=10))
    pool = data.splits["unlabelled"]
    assert len(chosen) == 10 and len(pool) == 53
    assert {*chosen} | {r["id"] for r in pool} == {f"train-{i}" for i in range(63)}
    assert all("label" not in record and record["text"] for record in pool)
    assert data.labels == ("a", "b", "c")
    assert data.notes == [
        "10 of 63 training examples keep their labels (data.shots=10, seed 1); the other 53 are the unlabelled pool."
    ]


@pytest.mark.parametrize("key", ["shots", "shots_per_label"])
@pytest.mark.parametrize("seed", range(4))
def test_fewer_lie_among_more(texts, key, seed):
    before: set[str] = set()
    for number in (1, 2, 3, 5, 8, 20):
        now = {*shots(texts(**{key: number}), seed)[1]}
        assert before <= now
        before = now


def test_shots_are_stratified_and_every_label_is_there_early(texts):
    data, _ = shots(texts(shots=30))
    counts = Counter(record["label"] for record in data.splits["train"])
    assert abs(counts["a"] - 19) <= 1 and abs(counts["b"] - 9.5) <= 1 and counts["c"] >= 1
    few, _ = shots(texts(shots=3))
    assert {record["label"] for record in few.splits["train"]} == {"a", "b", "c"}


def test_the_same_number_of_each_label_as_far_as_there_are(texts):
    data, _ = shots(texts(shots_per_label=8))
    assert Counter(record["label"] for record in data.splits["train"]) == {"a": 8, "b": 8, "c": 3}
    assert data.notes[1] == "1 label with fewer than 8 examples: c 3."


def test_the_seed_decides_and_may_be_its_own(texts):
    assert shots(texts(shots=10), 1)[1] == shots(texts(shots=10), 1)[1]
    assert shots(texts(shots=10), 1)[1] != shots(texts(shots=10), 2)[1]
    assert shots(texts(shots=10, shots_seed=5), 1)[1] == shots(texts(shots=10, shots_seed=5), 2)[1]


def test_zero_shots_leave_everything_to_the_pool(texts):
    data, chosen = shots(texts(shots=0))
    assert chosen == [] and len(data.splits["unlabelled"]) == 63 and data.labels == ("a", "b", "c")


def test_too_many_are_refused(texts):
    with pytest.raises(UserError, match="data.shots: data.shots=64 is more than the 63 training examples.*at most 63"):
        shots(texts(shots=64))
    with pytest.raises(ValidationError, match="either shots or shots_per_label"):
        texts(shots=1, shots_per_label=1)


def test_a_limit_bounds_shots_and_pool(texts):
    data, chosen = shots(texts(shots=10, limit={"train": 30}))
    assert len(chosen) == 10 and len(data.splits["unlabelled"]) == 20


def test_sentences_are_the_shots_of_tags(write, data_config):
    lines = "".join(f"w{i} {'O' if i % 4 else 'B-PER'}\nv{i} {'O' if i % 3 else 'B-LOC'}\n\n" for i in range(60))
    config = {"path": write("all.conll", lines), "split": {"validation": 0, "test": 0}}
    data, _ = shots(data_config(**config, shots_per_label=4), reading=TAGGED_TOKENS)
    counts = Counter(kind for r in data.splits["train"] for kind in label_types(r) or {"none"})
    assert counts["PER"] >= 4 and counts["LOC"] >= 4 and counts["none"] == 4
    assert all("tags" not in record and record["tokens"] for record in data.splits["unlabelled"])
    assert data.labels == ("LOC", "PER")


@pytest.mark.parametrize("seed", range(3))
def test_sentences_with_several_types_are_nested_too(data_config, seed):
    before: set[str] = set()
    for number in (1, 2, 4, 8, 16):
        now = {*shots(data_config("ner_sample", shots_per_label=number), seed, TAGGED_TOKENS)[1]}
        assert before < now
        before = now


def test_a_file_of_further_texts_joins_the_pool(texts, write):
    file = write("more.txt", "one more\r\n\r\nand another\r\n")
    data, _ = shots(texts(unlabelled=str(file)))
    assert [(r["id"], r["text"], r["source"]) for r in data.splits["unlabelled"]] == [
        ("unlabelled-0", "one more", "more.txt:1"), ("unlabelled-1", "and another", "more.txt:3"),
    ]  # fmt: skip
    assert data.notes == ["2 texts of more.txt are unlabelled."] and file in data.files
    beside, _ = shots(texts(unlabelled="more.txt", shots=60))
    assert len(beside.splits["unlabelled"]) == 5, "a file beside the data needs no folder in its name"
    before = content_fingerprint(texts(unlabelled="more.txt"))
    write("more.txt", "changed")
    assert content_fingerprint(texts(unlabelled="more.txt")) != before != content_fingerprint(texts())
    with pytest.raises(UserError, match="data.unlabelled: there is no file mroe.txt"):
        shots(texts(unlabelled="mroe.txt"))


def test_further_texts_in_the_form_of_the_data(texts, write):
    write("more.jsonl", '{"text": "one", "label": "never read"}\n{"text": "two"}')
    data, _ = shots(texts(unlabelled="more.jsonl"))
    assert [(r["text"], "label" in r) for r in data.splits["unlabelled"]] == [("one", False), ("two", False)]


@pytest.mark.parametrize(("name", "reading"), [("ner_sample", TAGGED_TOKENS), ("classification_sample", TEXTS)])
def test_a_sample_brings_its_unlabelled_texts(data_config, name, reading):
    plain = load_splits(data_config(name), 1, reading=reading)
    assert "unlabelled" not in plain.splits
    data = load_splits(data_config(name, shots=20), 1, reading=reading)
    further = [r for r in data.splits["unlabelled"] if r["id"].startswith("unlabelled-")]
    assert len(further) >= 150 and len(data.splits["unlabelled"]) == len(plain.splits["train"]) - 20 + len(further)
    assert not {r["text"] for r in further} & {r.get("text") for s in plain.splits.values() for r in s}
