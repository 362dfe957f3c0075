"""What a task reads decides which fields of a config count, which are labels, and by what is stratified."""

import json
from pathlib import Path

import pytest
from data_yaml import DIALOGUES, MANY_LABELS, PAIRS, QUESTIONS, RELATIONS, RUNNING_TEXT, TEXTS, WRITING

from rag_lightning.data.fields import for_task
from rag_lightning.data.load import load_split, load_splits
from rag_lightning.data.reading import TAGGED_TOKENS, Reading
from rag_lightning.data.splits import divide, label_types, stratified
from rag_lightning.errors import UserError

WHOLE = {"split": {"validation": 0, "test": 0}}


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (TAGGED_TOKENS, {"tokens", "tags", "text", "spans"}),
        (TEXTS, {"text", "label"}),
        (MANY_LABELS, {"text", "label", "labels"}),
        (PAIRS, {"first", "second", "label", "score"}),
        (RELATIONS, {"text", "first", "second", "label"}),
        (QUESTIONS, {"question", "context", "answers"}),
        (WRITING, {"text", "target"}),
        (DIALOGUES, {"turns", "target"}),
        (RUNNING_TEXT, {"text"}),
    ],
)
def test_one_config_of_a_format_serves_every_task(data_config, reading, expected):
    config = data_config("jsonl", fields={"topic": "about"})
    assert set(for_task(config, reading).fields) == {*expected, "id", "topic"}
    bare = for_task(config, reading, labelled=False)
    assert set(bare.fields) == {*expected, "id", "topic"}.difference(reading.labels)


def test_a_task_that_is_not_known_here_reads_what_it_says(write, data_config):
    reading = Reading(fields=("text", "answers_given"), labels=("answers_given",))
    path = write("a.jsonl", "".join(json.dumps({"text": f"w{i}", "n": "ab"[i % 2]}) + "\n" for i in range(20)))
    config = data_config("jsonl", path=path, fields={"answers_given": "n"}, shots_per_label=2, **WHOLE)
    data = load_splits(config, 1, reading)
    assert sorted(record["answers_given"] for record in data.splits["train"]) == ["a", "a", "b", "b"]
    assert all("answers_given" not in record for record in data.splits["unlabelled"])


def test_labels_are_among_the_fields():
    with pytest.raises(ValueError, match=r"\['tags'\] is not among the fields"):
        Reading(fields=("tokens",), labels=("tags",))


@pytest.mark.parametrize(
    ("name", "reading", "said"),
    [
        ("sst2", PAIRS, "data=sst2 gives `text` and `label`, and this task needs first and label"),
        ("conll", QUESTIONS, r"this task needs question and answers.*\+data.fields.answers=NAME"),
        ("sst2", QUESTIONS, r"this task needs question and answers.*where the answers is: \+data.fields.answers=NAME"),
        ("conll", RUNNING_TEXT, r"data=conll gives `tokens` and `tags`, and this task needs text\. .*data.fields.text"),
        ("stsb", WRITING, "this task needs text and target"),
        ("squad", TEXTS, "this task needs text and label"),
    ],
)
def test_data_of_another_kind_are_refused(data_config, name, reading, said):
    if name == "stsb":
        assert "score" in for_task(data_config(name), PAIRS).fields
    with pytest.raises(UserError, match=said) as caught:
        for_task(data_config(name), reading)
    assert caught.value.where == "data.fields"


def pairs(*rows):
    return "".join(json.dumps({"first": f"a{i}", "second": f"b{i}", **row}) + "\n" for i, row in enumerate(rows))


def test_one_kind_of_label_is_enough_and_none_is_told(write, data_config):
    path = write("a.jsonl", pairs({"score": 1}, {"label": "x"}, {"label": "y", "score": "2.5"}))
    records = load_splits(data_config("jsonl", path=path, **WHOLE), 1, PAIRS).splits["train"]
    assert [(r.get("label"), r.get("score")) for r in records] == [(None, 1.0), ("x", None), ("y", 2.5)]
    path = write("a.jsonl", pairs({"score": 1}, {"rating": 2}))
    with pytest.raises(UserError, match=r"a\.jsonl:2: there is no `label` or `category` for the label"):
        load_splits(data_config("jsonl", path=path, **WHOLE), 1, PAIRS)


@pytest.mark.parametrize(
    ("reading", "row", "blank"),
    [
        (PAIRS, {"first": "a", "second": "b", "score": 3}, {"score": None}),
        (PAIRS, {"first": "a", "second": "b", "score": 3}, {"score": " "}),
        (QUESTIONS, {"question": "q", "context": "c", "answers": []}, {"answers": None}),
        (WRITING, {"text": "a", "target": "b"}, {"target": ""}),
        (WRITING, {"text": "a", "target": ["b"]}, {"target": ["", " "]}),
        (MANY_LABELS, {"text": "a", "labels": ["b"]}, {"labels": None}),
    ],
)
def test_rows_that_leave_any_kind_of_label_open_are_unlabelled(write, data_config, reading, row, blank):
    field = next(iter(blank))
    path = write("a.jsonl", json.dumps(row) + "\n" + json.dumps(row | blank))
    data = load_splits(data_config("jsonl", path=path, **WHOLE), 1, reading)
    assert [field in record for record in data.splits["train"]] == [True]
    assert [field in record for record in data.splits["unlabelled"]] == [False]
    with pytest.raises(UserError, match=rf"a\.jsonl:2: the {field} is empty.*Write the {field}, or leave the row out"):
        load_split(data_config("jsonl", path=path), "test", reading)


def test_no_label_at_all_is_a_set_of_labels_too(write, data_config):
    path = write("a.csv", 'text,labels\none,"x, y"\ntwo,\n')
    records = load_splits(data_config("csv", path=path, **WHOLE), 1, MANY_LABELS).splits["train"]
    assert [record["labels"] for record in records] == [["x", "y"], []]


@pytest.mark.parametrize(
    ("record", "reading", "expected"),
    [
        ({"labels": ["a", "B-b"]}, MANY_LABELS, {"a", "B-b"}),
        ({"label": "B-x", "labels": ["y"]}, MANY_LABELS, {"B-x"}),
        ({"label": "O"}, TEXTS, {"O"}),
        ({"label": None, "score": 2.5}, PAIRS, set()),
        ({"answers": [{"text": "a"}]}, QUESTIONS, set()),
        ({"target": "a whole text"}, WRITING, set()),
        ({"text": "a"}, RUNNING_TEXT, set()),
        ({"tags": None, "spans": [{"label": "B-PER"}]}, TAGGED_TOKENS, {"B-PER"}),
    ],
)
def test_only_names_are_types_of_label(record, reading, expected):
    assert label_types(record, reading) == expected
    assert stratified([{}, record], reading) == bool(expected)


def test_examples_without_names_are_divided_too_and_not_counted_by_label(write, data_config):
    path = write("a.jsonl", pairs(*({"score": i / 10} for i in range(40))))
    data = load_splits(data_config("jsonl", path=path, limit={"train": 20}), 1, PAIRS)
    assert {split: len(records) for split, records in data.splits.items()} == {
        "train": 20, "validation": 6, "test": 6,
    }  # fmt: skip
    assert "stratified" not in " ".join(data.notes) and "near-duplicates kept on one side" in data.notes[0]
    shots = load_splits(data_config("jsonl", path=path, shots=5), 1, PAIRS)
    assert len(shots.splits["train"]) == 5 and shots.labels == ()
    with pytest.raises(UserError, match="examples cannot be counted by their label. Set data.shots"):
        load_splits(data_config("jsonl", path=path, shots_per_label=5), 1, PAIRS)


def articles(sizes):
    return [
        {"id": f"{a}-{i}", "source": f"x:{a}-{i}", "title": f"T{a}", "text": f"w{a} v{i} u{a * i}"}
        for a, size in enumerate(sizes)
        for i in range(size)
    ]


def test_articles_stay_whole():
    records = articles([5, 9, 3, 12, 7, 4, 10, 6, 8, 11])
    splits = divide(records, {"validation": 0.2, "test": 0.2}, 1, RUNNING_TEXT, by="title")
    titles = {split: {record["title"] for record in part} for split, part in splits.items()}
    assert all(titles.values()) and sum(map(len, titles.values())) == 10
    assert abs(len(splits["test"]) - 15) <= 6


def test_what_articles_share_does_not_join_them():
    records = [record | {"text": "the same everywhere"} for record in articles([4] * 20)]
    splits = divide(records, {"test": 0.25}, 1, RUNNING_TEXT, by="title")
    assert len({record["title"] for record in splits["test"]}) == 5


def test_the_last_articles_are_the_test():
    records = articles([10] * 10)
    splits = divide(records, {"validation": 0.1, "test": 0.25}, 1, RUNNING_TEXT, by="title", in_order=True)
    assert [list(dict.fromkeys(r["title"] for r in splits[s])) for s in ("train", "validation", "test")] == [
        [f"T{i}" for i in range(6)], ["T6"], ["T7", "T8", "T9"],
    ]  # fmt: skip
    single = divide(records, {"validation": 0.1, "test": 0.25}, 1, RUNNING_TEXT, in_order=True)
    assert [len(single[s]) for s in ("train", "validation", "test")] == [65, 10, 25]
    assert single["test"] == records[-25:]


def test_a_field_to_keep_together_must_be_there():
    with pytest.raises(UserError, match="no field `titel`.*there is: title, text.*data.fields.titel=NAME") as caught:
        divide(articles([3, 3, 3]), {"test": 0.3}, 1, RUNNING_TEXT, by="titel")
    assert caught.value.where == "data.split.by"


def test_translations_of_one_sentence_stay_on_one_side(write, data_config):
    rows = [
        {"text": f"Sentence number {i} stands here alone.", "target": t * 9}
        for i in range(40)
        for t in ("a ", "b ", "c ")
    ]
    path = write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    splits = load_splits(data_config("jsonl", path=path), 1, WRITING).splits
    sides = [{record["text"] for record in records} for records in splits.values()]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


def test_a_line_of_text_is_an_example_only_where_text_is_all_that_is_read(write, data_config):
    more = write("more.txt", "One line.\n")
    path = write("a.jsonl", json.dumps({"text": "a", "target": "b"}))
    data = load_splits(data_config("jsonl", path=path, unlabelled=str(more), **WHOLE), 1, WRITING)
    assert data.splits["unlabelled"][0]["text"] == "One line."
    path = write("b.jsonl", pairs({"label": "x"}))
    with pytest.raises(UserError, match="a line of text is no example for this task, which reads first and second too"):
        load_splits(data_config("jsonl", path=path, unlabelled=str(more), **WHOLE), 1, PAIRS)


DOCS = Path(__file__).parents[2] / "docs" / "data.md"
DOCUMENTED = {
    "ner": TAGGED_TOKENS, "classification": TEXTS, "labels": MANY_LABELS, "matching": PAIRS, "relation": RELATIONS,
    "qa": QUESTIONS, "translation": WRITING, "dialogue": DIALOGUES, "pretraining": RUNNING_TEXT,
}  # fmt: skip


@pytest.mark.parametrize("task", DOCUMENTED)
def test_the_rows_of_the_docs_are_read(write, data_config, task):
    start = "| … with several labels" if task == "labels" else f"| `{task}`"
    (line,) = [line for line in DOCS.read_text("utf-8").splitlines() if line.startswith(start) and '{"' in line]
    row = json.loads(line.split("|")[3].strip().strip("`"))
    config = data_config("jsonl", path=write("a.jsonl", json.dumps(row)))
    (record,) = load_split(config, "test", DOCUMENTED[task]).splits["test"]
    assert set(record) == {"id", "source", *row}
    assert set(row) <= set(DOCUMENTED[task].fields)
