"""Scores, several labels, pairs, answers, targets and turns, in every form that files have them, and mistakes."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_yaml import DIALOGUES, MANY_LABELS, PAIRS, QUESTIONS, RELATIONS, WRITING

from rag_lightning.data.load import load_split
from rag_lightning.errors import UserError

TEXT = "Ada lived in Ghent."
ADA = {"start": 0, "end": 3, "text": "Ada", "type": "PER"}
GHENT = {"start": 13, "end": 18, "text": "Ghent"}
RELATION = {"text": TEXT, "first": ADA, "second": GHENT, "label": "lived_in(first,second)"}
QUESTION = {"question": "Where?", "context": TEXT, "answers": [{"text": "Ghent", "answer_start": 13}]}


@pytest.fixture
def read(write, data_config):
    """The only record of a row, as JSON line or as given file."""

    def read_row(row, reading, name="jsonl", content=None, **changes):
        path = write("a", json.dumps(row) if content is None else content)
        return load_split(data_config(name, path=path, **changes), "test", reading).splits["test"][0]

    return read_row


@pytest.mark.parametrize(
    ("stored", "score"), [(3, 3.0), (2.5, 2.5), ("4.2", 4.2), (" 1e1 ", 10.0), (-1, -1.0), (0, 0.0)]
)
def test_scores(read, stored, score):
    record = read({"first": "a", "second": "b", "score": stored}, PAIRS)
    assert record["score"] == score and type(record["score"]) is float


@pytest.mark.parametrize("stored", ["much", float("nan"), "inf", [1], True, "nan"])
def test_what_is_no_score(read, stored):
    with pytest.raises(UserError, match="a:1: the score must be a finite number such as 3.5, but is"):
        read({"first": "a", "second": "b", "score": stored}, PAIRS)


@pytest.mark.parametrize(
    ("stored", "changes", "labels"),
    [
        (["a", "b", "a"], {}, ["a", "b"]),
        ("a, b,", {}, ["a", "b"]),
        ('["a", "b, c"]', {}, ["a", "b, c"]),
        ("['a', 'b']", {}, ["a", "b"]),
        ("a, b | c", {"label_separator": "|"}, ["a, b", "c"]),
        ([1, 0], {"label_names": ["no", "yes"]}, ["yes", "no"]),
        ("0,1", {"label_names": {"0": "zero", "1": "one"}}, ["zero", "one"]),
        (1, {"label_names": ["no", "yes"]}, ["yes"]),
        ([], {}, []),
        ("", {}, []),
    ],
)
def test_several_labels(read, stored, changes, labels):
    assert read({"text": "t", "labels": stored}, MANY_LABELS, **changes)["labels"] == labels


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"a": 1}, "the field of the labels must be a list or a text"),
        ([["a"]], "the label must be one name"),
        (["a", " "], "the label is empty"),
        ("a,zz", "the label 'zz' is not in data.label_names"),
    ],
)
def test_what_is_no_list_of_labels(read, stored, said):
    with pytest.raises(UserError, match=f"a:1: {said}"):
        read({"text": "t", "labels": stored}, MANY_LABELS, label_names={"a": "A"})


def test_texts_of_a_pair_stay_as_they_are(read):
    assert read({"first": "a {b}", "second": "[c]", "label": "x"}, PAIRS)["second"] == "[c]"
    with pytest.raises(UserError, match="a:1: each side of a pair must be a text, or an entity such as"):
        read({"first": 3, "second": "b", "label": "x"}, PAIRS)


def test_entities_of_a_relation(read):
    record = read({**RELATION, "second": {"start": 13, "end": 18, "more": 1}}, RELATIONS)
    assert (record["first"], record["second"]) == (ADA, GHENT)
    cells = "\t".join([TEXT, json.dumps(ADA), json.dumps(GHENT), "x"])
    table = read(None, RELATIONS, "csv", f"text\tfirst\tsecond\tlabel\n{cells}\n")
    assert (table["first"], table["second"]) == (ADA, GHENT)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": 1}, r"the first entity 1–3: the text has 'da' there, not 'Ada'. 'Ada' stands at 0: correct first"),
        ({"text": "Eve"}, "the text has 'Ada' there, not 'Eve'. 'Eve' stands nowhere in the text"),
        ({"end": 90}, r"the first entity 0–90 does not lie in the text of 19 characters.*end is exclusive"),
        ({"end": 0}, "the first entity 0–0 does not lie"),
        ({"start": "0"}, "each side of a pair must be"),
        ({"end": None}, "each side of a pair must be"),
        ({"type": 1}, "each side of a pair must be"),
    ],
)
def test_entities_that_are_not_where_they_say(read, change, said):
    with pytest.raises(UserError, match=f"a:1: .*{said}") as caught:
        read({**RELATION, "first": ADA | change}, RELATIONS)
    assert caught.value.remedy


FOUND = [{"text": "Ghent", "answer_start": 13}]
ANSWERS = [
    (FOUND, FOUND),
    ({"text": ["Ghent"], "answer_start": [13]}, FOUND),
    ({"text": "Ghent", "answer_start": 13}, FOUND),
    (json.dumps(FOUND), FOUND),
    ("{'text': ['Ghent'], 'answer_start': [13]}", FOUND),
    (["Ghent", {"text": "in Ghent"}], [*FOUND, {"text": "in Ghent", "answer_start": 10}]),
    ({"text": ["Ghent"]}, FOUND),
    ([], []),
    ({"text": [], "answer_start": []}, []),
]


@pytest.mark.parametrize(("stored", "expected"), ANSWERS)
def test_answers_in_every_form(read, stored, expected):
    answers = read({**QUESTION, "answers": stored}, QUESTIONS)["answers"]
    assert sorted(answers, key=str) == sorted(expected, key=str)


def test_answers_of_the_hub(data_config, tmp_path):
    table = pa.table({
        "id": ["a"], "title": ["T"], "question": ["Where?"], "context": [TEXT],
        "answers": [{"text": ["Ghent"], "answer_start": [13]}],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    config = data_config("parquet", path=tmp_path / "a.parquet")
    assert load_split(config, "test", QUESTIONS).splits["test"][0]["answers"] == FOUND


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ([{"text": "Ghent", "answer_start": 12}], "the answer 'Ghent' at 12: the text has ' Ghen' there, not 'Ghent'. "
         "'Ghent' stands at 13: correct answer_start"),
        ([{"text": "Bruges", "answer_start": 13}], "'Bruges' stands nowhere in the text; correct one of the two"),
        ([{"text": "Ghent", "answer_start": 400}], "the text of 19 characters has nothing there"),
        ([{"text": "Ghent", "answer_start": -1}], "the answer 'Ghent' at -1"),
        (["Bruges"], "the answer 'Bruges' does not stand in the context.*letter by letter"),
        ([{"text": ""}], "answer 0 is empty"),
        ([{"answer_start": 3}], "answer 0 must be"),
        ([{"text": "a", "answer_start": "3"}], "answer 0 must be"),
        ({"text": ["a", "b"], "answer_start": [1]}, "2 texts of answers but 1 places"),
        ("Ghent", "the field of the answers must be a list"),
    ],
)  # fmt: skip
def test_answers_that_are_not_where_they_say(read, stored, said):
    with pytest.raises(UserError, match=f"a:1: .*{said}") as caught:
        read({**QUESTION, "answers": stored}, QUESTIONS)
    assert caught.value.remedy


def test_offsets_count_characters_beyond_the_basic_plane(read):
    context = "🚲🚲 北京 ok"
    row = {"question": "?", "context": context, "answers": [{"text": "北京", "answer_start": 3}]}
    assert read(row, QUESTIONS)["answers"] == [{"text": "北京", "answer_start": 3}]


@pytest.mark.parametrize(
    ("stored", "target"),
    [
        ("b", "b"), (["b", " ", "c"], ["b", "c"]), ('["b", "c"]', ["b", "c"]), ("[b] and more", "[b] and more"),
        ('{"a": 1}', '{"a": 1}'), ("x\r\ny", "x\ny"),
    ],
)  # fmt: skip
def test_targets(read, stored, target):
    record = read({"text": "a\r\nb", "target": stored}, WRITING)
    assert (record["text"], record["target"]) == ("a\nb", target)


def test_what_is_no_target(read):
    with pytest.raises(UserError, match="a:1: the target must be a text or a list of texts, but is 3"):
        read({"text": "a", "target": 3}, WRITING)


def test_several_columns_are_several_references_and_sentences_make_a_text(read):
    join = {"text": ["sentences"], "target": ["s1", "s2"]}
    row = {"sentences": ["One.", "Two."], "s1": "a", "s2": "b"}
    record = read(row, WRITING, join=join, fields={"target": "s"})
    assert (record["text"], record["target"]) == ("One. Two.", ["a", "b"])
    assert read({"sentences": ["One."], "s": "only"}, WRITING, join=join, fields={"target": "s"})["target"] == "only"


HELLO = [{"role": "user", "text": "Hello"}, {"role": "assistant", "text": "Hi!"}]
TURNS = [
    (HELLO, {}),
    ([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}], {}),
    (["Hello", "Hi!"], {}),
    ('["Hello", "Hi!"]', {}),
    ("Hello __eou__ Hi! __eou__", {"turn_separator": "__eou__"}),
    ("Hello __eou__ Hi!", {"turn_separator": "__eou__"}),
]


@pytest.mark.parametrize(("stored", "changes"), TURNS)
def test_turns_in_every_form(read, stored, changes):
    assert read({"turns": stored}, DIALOGUES, **changes)["turns"] == HELLO


@pytest.mark.parametrize(
    ("stored", "changes", "said"),
    [
        ([], {}, "the dialogue has no turn"),
        ([{"role": "bot", "text": "x"}], {}, "turn 1 has the role 'bot'. The roles are user, assistant and system"),
        (["a", ""], {}, "turn 2 has no text"),
        (["a", {"role": "user", "text": "b"}], {}, "turn 1 must be"),
        ([{"role": "user"}], {}, "turn 1 must be"),
        ("Hello. Hi!", {}, "the turns stand in one text, 'Hello. Hi!'. Say what parts them, such as data.turn_separat"),
        ("a __eou__  __eou__ b", {"turn_separator": "__eou__"}, "turn 2 has no text"),
        (3, {}, "the field of the turns must be a list"),
    ],
)
def test_turns_that_are_none(read, stored, changes, said):
    with pytest.raises(UserError, match=f"a:1: {said}") as caught:
        read({"turns": stored}, DIALOGUES, **changes)
    assert caught.value.remedy


def test_fields_that_a_row_may_be_without(read):
    fields = {"negatives": "bad"}
    assert "negatives" not in read({"turns": ["a"]}, DIALOGUES, fields=fields, optional=["negatives"])
    assert read({"turns": ["a"], "bad": ["b"]}, DIALOGUES, fields=fields, optional=["negatives"])["negatives"] == ["b"]
    with pytest.raises(UserError, match="a:1: there is no `bad` for the negatives"):
        read({"turns": ["a"]}, DIALOGUES, fields=fields)
