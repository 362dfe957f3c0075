"""Division and subsets: shares, strata, near-duplicates, and the same result in every process."""

import random
import subprocess
import sys
import time
from collections import Counter

import pytest
from data_yaml import TEXTS

from rag_lightning.data.near_duplicates import groups_of
from rag_lightning.data.splits import divide, label_types, subset
from rag_lightning.errors import UserError

SHARES = {"validation": 0.15, "test": 0.15}
TYPES = ["PER", "LOC", "ORG", "MISC"]


def make(n, seed=0, words=5000, length=12):
    """Random sentences, each with up to two entity types."""
    rng = random.Random(seed)
    records = []
    for number in range(n):
        tokens = [f"w{rng.randrange(words)}" for _ in range(length)]
        kinds = rng.sample(TYPES, rng.choice([0, 1, 1, 2]))
        tags = [f"B-{kind}" for kind in kinds] + ["O"] * (length - len(kinds))
        records.append({"id": str(number), "source": f"x:{number}", "tokens": tokens, "tags": tags})
    return records


def ids(splits):
    return {split: [record["id"] for record in records] for split, records in splits.items()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [30, 100, 1000])
def test_shares_are_kept_and_nothing_is_lost(n, seed):
    records = make(n, seed)
    splits = divide(records, SHARES, seed)
    assert sorted(i for part in ids(splits).values() for i in part) == sorted(record["id"] for record in records)
    assert all(splits.values())
    for split, share in SHARES.items():
        assert abs(len(splits[split]) - share * n) <= max(2, 0.02 * n)


def test_strata_have_the_same_shares():
    records = make(2000)
    splits = divide(records, SHARES, 3)
    for kind in TYPES:
        counts = {s: sum(kind in label_types(r) for r in part) for s, part in splits.items()}
        assert abs(counts["test"] / sum(counts.values()) - 0.15) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_every_label_type_is_in_train(seed):
    records = make(60, seed)
    for number, record in enumerate(records[:8]):
        record["tags"][-1] = f"B-RARE{number}"
    types = set().union(*(label_types(record) for record in records))
    train = divide(records, {"validation": 0.4, "test": 0.4}, seed)["train"]
    assert set().union(*(label_types(record) for record in train)) == types


def test_near_duplicates_stay_on_one_side():
    rng, records = random.Random(5), make(600)
    for number in range(200):  # chains too: a copy of a copy
        original = records[rng.randrange(len(records))]
        tokens = list(original["tokens"])
        tokens[rng.randrange(len(tokens))] = f"new{number}"
        records.append({**original, "id": f"copy {number} of {original['id']}", "tokens": tokens})
    owner = {i: split for split, part in ids(divide(records, SHARES, 1)).items() for i in part}
    apart = [i for i in owner if i.startswith("copy") and owner[i] != owner[i.split(" of ", 1)[1]]]
    assert len(apart) <= 2, apart  # hashing finds a pair of similarity 0.7 with probability 0.99


def test_groups_are_those_of_equal_and_similar_text():
    base = [f"w{i}" for i in range(20)]
    texts = [base, [*base[:19], "x"], list(map(str.upper, base)), ["a", "b"], [], [], ["字", "词"]]
    assert groups_of([{"tokens": tokens} for tokens in texts]) == [0, 0, 0, 3, 4, 4, 6]
    assert groups_of(
        [{"text": "这是一个很长的句子没有空格"}, {"text": "这是一个很长的句子没有空格"}, {"text": "x"}]
    ) == [0, 0, 2]


def test_the_same_in_another_process_and_different_for_another_seed():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_splits import *;"
        "print(ids(divide(make(200), SHARES, 7)), ids({'s': subset(make(200), 20, 7)}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, str(__file__).rsplit("/", 1)[0]],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert outputs == {f"{ids(divide(make(200), SHARES, 7))} {ids({'s': subset(make(200), 20, 7)})}\n"}
    assert ids(divide(make(200), SHARES, 8)) != ids(divide(make(200), SHARES, 7))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n", [3, 4, 6, 10])
def test_few_examples_are_divided_or_refused(n, seed):
    records = make(n, seed)
    types = set().union(*(label_types(record) for record in records))
    try:
        splits = divide(records, SHARES, seed)
    except UserError as error:
        assert "too few for a" in str(error)
        assert n < 10
    else:
        assert all(splits.values())
        assert set().union(*(label_types(record) for record in splits["train"])) == types


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_examples(n):
    with pytest.raises(UserError, match="too few to be divided into train, validation and test.*data.split.test=0"):
        divide(make(n), SHARES, 0)


def test_twenty_thousand_sentences_and_as_many_copies_take_seconds():
    start = time.perf_counter()
    divide(make(20_000), SHARES, 0)
    copies = make(1) * 5000 + [{**r, "tokens": [*make(1)[0]["tokens"], r["tokens"][0]]} for r in make(5_000)]
    groups = groups_of(copies)
    assert time.perf_counter() - start < 15
    assert len(set(groups)) < 20


def test_subsets_are_nested_stratified_and_cover_all_types():
    records = make(1000)
    records[77]["tags"][0] = "B-RARE"
    before: set[str] = set()
    for size in (1, 5, 20, 100, 500, 1000):
        chosen = subset(records, size, 4)
        names = {record["id"] for record in chosen}
        assert len(chosen) == size
        assert before <= names
        assert chosen == [record for record in records if record["id"] in names]
        before = names
    small = subset(records, 5, 4)
    assert set().union(*(label_types(record) for record in small)) == {*TYPES, "RARE"}
    assert {r["id"] for r in subset(records, 20, 5)} != {r["id"] for r in subset(records, 20, 4)}
    share = Counter(bool(label_types(record)) for record in subset(records, 200, 4))[False] / 200
    assert abs(share - sum(not label_types(record) for record in records) / 1000) < 0.03


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"tags": ["B-creative-work", "I-creative-work", "O"]}, {"creative-work"}),
        ({"tags": ["PERSON", "O", "S-ORG"]}, {"PERSON", "ORG"}),
        ({"spans": [{"label": "X"}], "text": ""}, {"X"}),
        ({"tokens": []}, set()),
    ],
)
def test_label_types(record, expected):
    assert label_types(record) == expected
    assert label_types({"label": 3}, TEXTS) == {"3"}
