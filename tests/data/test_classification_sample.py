"""The embedded sample is what its card says."""

import itertools
import re
from collections import Counter
from importlib.resources import files

from data_yaml import TEXTS

from rag_lightning.data.load import load_splits

FOLDER = files("rag_lightning.data") / "samples" / "classification"


def test_sizes_and_labels(data_config):
    data = load_splits(data_config("classification_sample"), 1, reading=TEXTS)
    assert {split: len(records) for split, records in data.splits.items()} == {
        "train": 150, "validation": 42, "test": 60,
    }  # fmt: skip
    assert data.notes == []
    card = (FOLDER / "README.md").read_text("utf-8")
    for split in data.splits:
        counts = Counter(record["label"] for record in data.splits[split])
        assert len(counts) == 6 and len(set(counts.values())) == 1
        assert all(f"| `{label}` |" in card for label in counts)


def test_no_two_texts_are_nearly_the_same(data_config):
    data = load_splits(data_config("classification_sample"), 1, reading=TEXTS)
    texts = [record["text"] for records in data.splits.values() for record in records]
    texts += (FOLDER / "unlabelled.txt").read_text("utf-8").splitlines()
    assert len(texts) == 252 + 162
    words = [set(re.findall(r"\w+", text.lower())) for text in texts]
    assert max(len(a & b) / len(a | b) for a, b in itertools.combinations(words, 2)) <= 0.4
