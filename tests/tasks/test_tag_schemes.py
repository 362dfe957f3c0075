"""Schemes are recognised, converted without loss, and refused with the first odd tag."""

import random

import pytest

from rag_lightning.errors import UserError
from rag_lightning.tasks.spans import tags_to_spans
from rag_lightning.tasks.tag_schemes import detect_scheme, repair_iob2, to_iob2

TYPES = ["PER", "creative-work", "PER.NAM"]


def entities(seed, n_words=30, touching=True):
    """Random entities of a sentence: (first word, one after the last, type)."""
    rng, found, position = random.Random(seed), [], 0
    while position < n_words:
        position += rng.choice([0, 1, 2] if touching else [1, 2, 3])
        end = position + rng.randint(1, 4)
        if end <= n_words:
            found.append((position, end, rng.choice(TYPES)))
        position = end
    return found


def written(scheme, found, n_words=30):
    """The entities in a scheme."""
    letters = {
        "IOB2": "BIIB", "BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES", "BMEWO": "BMEW",
    }  # fmt: skip
    tags = ["O"] * n_words
    for start, end, kind in found:
        for index in range(start, end):
            if scheme == "plain":
                tags[index] = kind
            elif scheme == "IO":
                tags[index] = f"I-{kind}"
            elif scheme == "IOB1":
                touches = index == start and any(e == start and k == kind for _, e, k in found)
                tags[index] = f"{'B' if touches else 'I'}-{kind}"
            else:
                single, first, last = end - start == 1, index == start, index == end - 1
                tags[index] = f"{letters[scheme][3 if single else 0 if first else 2 if last else 1]}-{kind}"
    return tags


@pytest.mark.parametrize("scheme", ["IOB1", "IOB2", "BIOES", "BILOU", "BMES", "BMEWO"])
@pytest.mark.parametrize("seed", range(10))
def test_there_and_back(scheme, seed):
    gold = [entities(100 * seed + number) for number in range(20)]
    sequences = [written(scheme, found) for found in gold]
    detected = detect_scheme(sequences)
    assert detected.name == scheme
    assert detected.description.startswith(scheme)
    converted = to_iob2(sequences, detected)
    assert converted == [written("IOB2", found) for found in gold]
    assert [repair_iob2(tags) for tags in converted] == [(tags, 0) for tags in converted]
    assert [tags_to_spans(tags) for tags in converted] == gold


@pytest.mark.parametrize("scheme", ["IO", "plain"])
def test_schemes_without_beginnings(scheme):
    gold = [entities(number, touching=False) for number in range(20)]
    sequences = [written(scheme, found) for found in gold]
    detected = detect_scheme(sequences)
    assert detected.name == "IO"
    assert "neighbouring words of one type are one entity" in detected.description
    assert to_iob2(sequences, detected) == [written("IOB2", found) for found in gold]


CASES = [
    (["O", "O"], "IOB2"),
    ([], "IOB2"),
    (["B-PER", "O"], "IOB2"),
    (["B-PER", "I-PER", "O", "I-PER"], "IOB2"),  # as many begin with B- as with I-
    (["I-PER", "B-PER", "O"], "IOB1"),
    (["I-PER", "I-LOC", "O"], "IO"),
    (["S-PER", "O"], "BIOES"),
    (["B-PER", "E-PER", "O"], "BIOES"),
    (["U-PER", "O"], "BILOU"),
    (["B-PER", "M-PER", "E-PER"], "BMES"),
    (["PERSON", "O"], "IO"),
    (["creative-work", "O", "LOC"], "IO"),
    (["HEPATITIS-B", "O"], "IO"),
]


@pytest.mark.parametrize(("tags", "name"), CASES)
def test_short_cases(tags, name):
    assert detect_scheme([tags]).name == name


@pytest.mark.parametrize(
    ("tags", "converted"),
    [
        (["I-A", "I-A", "B-A", "I-B", "O", "I-A"], ["B-A", "I-A", "B-A", "B-B", "O", "B-A"]),
        (["B-A", "E-A", "E-A", "S-A", "B-A", "I-A", "E-A"], ["B-A", "I-A", "B-A", "B-A", "B-A", "I-A", "I-A"]),
        (["B-A", "L-A", "U-A", "O"], ["B-A", "I-A", "B-A", "O"]),
        (["A", "A", "B-x"[2:], "O"], ["B-A", "I-A", "B-x", "O"]),
    ],
)
def test_conversions(tags, converted):
    assert to_iob2([tags], detect_scheme([tags])) == [converted]


BAD = [
    (["O", "X-PER"], "X-PER", "has the prefix X-, which no scheme has"),
    (["PERSON", "X-PER"], "X-PER", "has the prefix X-"),
    (["O", "b-PER"], "b-PER", "write it large"),
    (["B-PER", "I-PER", "E-PER", "S-PER", "M-PER"], "M-PER", "does not belong to BIOES"),
    (["B-PER", "M-PER", "M-PER", "E-PER", "S-PER", "I-PER"], "I-PER", "does not belong to BMES"),
    (["B-PER", "I-PER", "L-PER", "E-PER", "S-PER"], "L-PER", "does not belong to BIOES"),
    (["I-PER", "E-PER"], "I-PER", "no tag begins one"),
    (["B-PER", "I-PER", "PER"], "PER", "has no prefix such as B-"),
    (["PER", "LOC", "B-PER"], "B-PER", "has a prefix, the others have none"),
    (["B-PER", "o"], "o", "has the tag O"),
    (["B-PER", "_"], "_", "has the tag O"),
    (["B-PER", "I-"], "I-", "names no entity type"),
    (["O", "B", "I"], "B", "names no entity type"),
    (["0", "7"], "0", "has the tag O"),
    (["3", "7"], "3", "data.label_names"),
    (["O", "B_PER", "I_PER"], "B_PER", "instead of a hyphen"),
    (["O", "PER-B", "PER-I"], "PER-B", "B-PER is meant"),
]


@pytest.mark.parametrize(("tags", "odd", "reason"), BAD)
def test_unknown_schemes_name_the_first_odd_tag_and_its_place(tags, odd, reason):
    with pytest.raises(UserError) as caught:
        detect_scheme([["O"], tags, tags], ["a.conll:1", "a.conll:3", "a.conll:9"])
    message = str(caught.value)
    assert message.startswith(f"a.conll:3: the tag '{odd}' ")
    assert reason in message
    assert "Known schemes: IOB1, IOB2 (BIO), BIOES (IOBES), BILOU, BMES, BMEWO" in message


@pytest.mark.parametrize(
    ("tags", "repaired", "count"),
    [
        (["I-A", "I-A", "O", "I-B"], ["B-A", "I-A", "O", "B-B"], 2),
        (["B-A", "I-B", "I-B"], ["B-A", "B-B", "I-B"], 1),
        (["B-A", "I-A", "B-A"], ["B-A", "I-A", "B-A"], 0),
        ([], [], 0),
    ],
)
def test_repair(tags, repaired, count):
    assert repair_iob2(tags) == (repaired, count)


@pytest.mark.parametrize(
    ("folder", "scheme", "strays", "n_types"),
    [("conll2003", "IOB1", 0, 4), ("wnut17", "IOB2", 0, 6), ("weibo_ner", "IOB2", 14, 8), ("resume_ner", "BMES", 0, 8)],
)
def test_real_data(shared, folder, scheme, strays, n_types):
    from rag_lightning.data.load import load_splits
    from rag_lightning.data.options import DataConfig

    if not (shared / "data" / folder).is_dir():
        pytest.skip(f"{folder} is not there")
    data = load_splits(DataConfig(name=folder, format="conll", path=str(shared / "data" / folder)), 1)
    for names in (["train"], ["train", "validation", "test"]):
        sequences = [record["tags"] for name in names for record in data.splits[name]]
        assert detect_scheme(sequences).name == scheme
    converted = to_iob2(sequences, detect_scheme(sequences))
    repaired = [repair_iob2(tags) for tags in converted]
    assert sum(count for _, count in repaired) == strays
    assert len({kind for tags, _ in repaired for _, _, kind in tags_to_spans(tags)}) == n_types
