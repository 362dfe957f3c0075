"""The forms that tasks bring along: SQuAD's JSON, SemEval's blocks, aligned files, running text, lines of turns."""

import gzip
import json

import pytest
from data_yaml import DIALOGUES, PAIRS, QUESTIONS, RELATIONS, RUNNING_TEXT, WRITING

from rag_lightning.data.files import find_files
from rag_lightning.data.load import content_fingerprint, load_split, load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.errors import UserError

CONTEXT = "Ada lived in Ghent."
WHOLE = {"split": {"validation": 0, "test": 0, "by": None, "order": "random"}}
ANY_FILE = {"files": {"train": None, "validation": None, "test": None}}


def squad(*questions, **paragraph):
    return json.dumps({"data": [{"title": "T", "paragraphs": [{"context": CONTEXT, "qas": questions} | paragraph]}]})


QUESTION = {"id": "q1", "question": "Where?", "answers": [{"text": "Ghent", "answer_start": 13}]}


def test_squad_gives_a_record_for_each_question(write, data_config):
    impossible = {
        "id": "q2", "question": "When?", "is_impossible": True,
        "plausible_answers": [{"text": "Ada", "answer_start": 0}],
    }  # fmt: skip
    path = write("a.json", squad(QUESTION, impossible))
    records = load_split(data_config("squad", path=path), "test", QUESTIONS).splits["test"]
    assert records == [
        {"id": "q1", "source": "a.json:question q1", "title": "T", "context": CONTEXT, "question": "Where?",
         "answers": QUESTION["answers"]},
        {"id": "q2", "source": "a.json:question q2", "title": "T", "context": CONTEXT, "question": "When?",
         "answers": []},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"data": [\n{"x" 1}]}', "a.json:2: this is not JSON: Expecting ':' delimiter at character 6"),
        ('[{"question": "q"}]', "a.json: this is not SQuAD's form: no list `data` of objects.*data=csv, jsonl"),
        ('{"data": [{"title": "T"}]}', "a.json:article 1: this is not SQuAD's form: no list `paragraphs`"),
        (squad(QUESTION, context=None), r"article 1, paragraph 1 \(T\): .* a paragraph without context"),
        (squad(QUESTION, qas=[3]), r"paragraph 1 \(T\): .* no list `qas` of objects"),
        (squad(), "a.json: the file holds no question"),
        (squad({"id": "q"}), "a.json:question q: there is no `question` for the question"),
        (
            squad({**QUESTION, "answers": [{"text": "Ghent", "answer_start": 3}]}),
            "a.json:question q1: the answer 'Ghent' at 3: the text has ' live' there",
        ),
    ],
)
def test_what_is_not_squads_form(write, data_config, content, said):
    with pytest.raises(UserError, match=said) as caught:
        load_split(data_config("squad", path=write("a.json", content)), "test", QUESTIONS)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train-v2.0.json", "dev-v2.0.json"], {"train": "train-v2.0.json", "test": "dev-v2.0.json"}),
        (["dev-v1.1.json"], {"train": "dev-v1.1.json"}),
        (["my.json"], {"train": "my.json"}),
        (["train.json", "validation.json"], {"train": "train.json", "validation": "validation.json"}),
        (
            ["train.json", "validation.json", "test.json"],
            {"train": "train.json", "validation": "validation.json", "test": "test.json"},
        ),
    ],
)
def test_which_file_of_squad_is_which_split(tmp_path, data_config, names, expected):
    for name in names:
        (tmp_path / name).touch()
    found = find_files(data_config("squad", path=tmp_path))
    assert {split: file.name for split, (file,) in found.items()} == expected
    assert find_files(data_config("squad", path=tmp_path / names[0])) == {"train": [tmp_path / names[0]]}


def test_a_file_belongs_to_the_first_split_that_names_it(tmp_path, data_config):
    for name in ("a.jsonl", "b.jsonl", "dev.jsonl"):
        (tmp_path / name).touch()
    files = {"train": ["a.jsonl"], "validation": ["a.jsonl", "b.jsonl"], "test": ["dev.jsonl"]}
    found = find_files(data_config("jsonl", path=tmp_path, files=files))
    assert {split: [file.name for file in paths] for split, paths in found.items()} == {
        "train": ["a.jsonl"], "test": ["dev.jsonl"],
    }  # fmt: skip
    none = find_files(data_config("jsonl", path=tmp_path, files={"train": "a.jsonl", "validation": []}))
    assert list(none) == ["train"]
    named = find_files(data_config("jsonl", path=tmp_path, files={"train": "a.jsonl", "test": "dev.jsonl"}))
    assert list(named) == ["train", "test"]  # what is asked for is not taken by convention


def test_a_file_that_no_pattern_means_is_refused(tmp_path, data_config):
    (tmp_path / "my.txt").touch()
    with pytest.raises(UserError, match="is a file, and data.files names files of a folder.*data.files.train"):
        find_files(data_config("sick", path=tmp_path / "my.txt"))


BLOCKS = (
    '1\t"The <e1>pot</e1> of <e2>green tea</e2>."\nContent-Container(e2,e1)\nComment: clear\n\n'
    '2\t"A <e1> cat </e1>"s <e2>tail</e2> and <so> on."\nOther\nComment:\n'
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_semeval_blocks(write, data_config, end):
    path = write("a.txt", BLOCKS.replace("\n", end))
    records = load_split(data_config("semeval2010", path=path), "test", RELATIONS).splits["test"]
    assert records == [
        {"id": "1", "source": "a.txt:1", "text": "The pot of green tea.",
         "first": {"start": 4, "end": 7, "text": "pot"}, "second": {"start": 11, "end": 20, "text": "green tea"},
         "label": "Content-Container(e2,e1)"},
        {"id": "2", "source": "a.txt:5", "text": 'A  cat "s tail and <so> on.',
         "first": {"start": 3, "end": 6, "text": "cat"}, "second": {"start": 10, "end": 14, "text": "tail"},
         "label": "Other"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a sentence\nOther\n", "a.txt:1: a block begins with its number and the sentence, not 'a sentence'"),
        (f'{BLOCKS}\n3\t"A <e1>b</e1>."\nOther\n', "a.txt:9: .* does not mark one <e1>…</e1> and one <e2>…</e2>"),
        ('1\t"</e1>a<e1> <e2>b</e2>"\nOther\n', "a.txt:1: .*does not mark"),
        ('1\t"<e1>a</e1> <e1>c</e1> <e2>b</e2>"\nOther\n', "a.txt:1: .*does not mark"),
        ('1\t"<e1>a</e1> <e2> </e2>"\nOther\n', "a.txt:1: the second entity .* does not lie in the text"),
        ('1\t"<e1>a</e1> <e2>b</e2>"\n', "a.txt:1: there is no `label` for the label"),
    ],
)
def test_what_is_no_block(write, data_config, content, said):
    with pytest.raises(UserError, match=said) as caught:
        load_split(data_config("semeval2010", path=write("a.txt", content)), "test", RELATIONS)
    assert caught.value.remedy


@pytest.fixture
def aligned(write):
    """A folder with two files of each split; one side packed."""
    for split in ("train", "val", "test_2016_flickr", "test_2017_flickr"):
        write(f"{split}.en", "".join(f"{split} {i}\n" for i in range(3)))
        path = write(f"{split}.de.gz", gzip.compress("".join(f"{split} drüben {i}\n" for i in range(3)).encode()))
    return path.parent


@pytest.mark.parametrize(("text", "target"), [("en", "de"), ("de", "en")])
def test_aligned_files_in_both_directions(aligned, data_config, text, target):
    config = data_config("multi30k", path=aligned, fields={"text": text, "target": target})
    data = load_splits(config, 1, WRITING)
    said = {"en": "val 1", "de": "val drüben 1"}
    assert data.splits["validation"][1] | {"source": ""} == {
        "id": "validation-1", "source": "", "text": said[text], "target": said[target],
    }  # fmt: skip
    assert len(data.files) == 6 and {file.name.split(".")[0] for file in data.files} == {
        "train", "val", "test_2016_flickr",
    }  # fmt: skip


def test_the_other_side_belongs_to_the_content(aligned, write, data_config):
    config = data_config("multi30k", path=aligned)
    before = content_fingerprint(config)
    write("val.de.gz", gzip.compress(b"anders\n" * 3))
    assert content_fingerprint(config) != before


def test_one_file_of_a_pair_is_divided(write, data_config):
    write("all.fr", "".join(f"f{i}\n" for i in range(20)))
    path = write("all.en", "".join(f"e{i}\n" for i in range(20)))
    config = data_config("parallel", path=path, fields={"target": "fr"})
    assert sum(map(len, load_splits(config, 1, WRITING).splits.values())) == 20
    assert load_splits(data_config("parallel", path=path.parent, fields={"target": "fr"}), 1, WRITING).files == [
        path, path.with_suffix(".fr"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "fields", "said"),
    [
        ({"train.en": "a\nb\n", "train.de": "x\n"}, {}, "train.en has 2 lines and train.de 1, so that .* not aligned"),
        ({"train.en": "a\n"}, {}, "beside train.en there is no train.de or train.de.gz.*data.fields.target=ENDING"),
        ({"train.en": "a\n"}, {"text": "fr"}, "no training file .train.fr"),
        ({"train.en": "a\n"}, {"target": None}, "this task needs text and target"),
    ],
)
def test_files_that_are_not_aligned(write, data_config, files, fields, said):
    for name, content in files.items():
        path = write(name, content)
    with pytest.raises(UserError, match=said) as caught:
        load_splits(data_config("parallel", path=path.parent, fields=fields), 1, WRITING)
    assert caught.value.remedy


def test_a_file_with_another_ending_is_not_one_side(write, data_config):
    with pytest.raises(UserError, match="a.txt does not end in .en"):
        load_splits(data_config("parallel", path=write("a.txt", "a\n")), 1, WRITING)


def test_lines_without_translation_are_unlabelled(write, data_config):
    write("a.de", "x\n\ny\n")
    path = write("a.en", "a\nb\nc\n")
    splits = load_splits(data_config("parallel", path=path, **WHOLE), 1, WRITING).splits
    assert [record["target"] for record in splits["train"]] == ["x", "y"]
    assert [record["text"] for record in splits["unlabelled"]] == ["b"]


def paragraphs(path, data_config, name="texts", **changes):
    config = data_config(name, path=path, **(WHOLE | changes))
    return [(r["text"], r["document"]) for r in load_splits(config, 1, RUNNING_TEXT).splits["train"]]


def test_running_text(write, data_config):
    path = write("a.txt", "\ufeff\r\n One. Two. \r\nThree.\r\n\r\n\r\nFour.\r\n")
    assert paragraphs(path, data_config) == [("One. Two.", "a.txt:2"), ("Three.", "a.txt:2"), ("Four.", "a.txt:6")]


def test_a_pattern_begins_documents(write, data_config):
    path = write("a.txt.gz", gzip.compress(b"0\n\nCHAPTER 1\na\n\nb\nCHAPTER 2\nc\n"))
    found = paragraphs(path, data_config, document_pattern="^CHAPTER ")
    assert found == [
        ("0", "a.txt.gz:1"), ("CHAPTER 1", "a.txt.gz:3"), ("a", "a.txt.gz:3"), ("b", "a.txt.gz:3"),
        ("CHAPTER 2", "a.txt.gz:7"), ("c", "a.txt.gz:7"),
    ]  # fmt: skip


def test_a_folder_of_texts_is_read_with_its_subfolders(write, data_config):
    for name in ("b/the_train.txt", "a/x.txt.gz", "c.txt", "notes.md", "a/test_of_time.txt"):
        content = f"Text of {name}\n".encode()
        path = write(name, gzip.compress(content) if name.endswith("gz") else content)
    folder = path.parents[1]
    found = paragraphs(folder, data_config)
    assert [text for text, _ in found] == [
        "Text of a/test_of_time.txt", "Text of a/x.txt.gz", "Text of b/the_train.txt", "Text of c.txt",
    ]  # fmt: skip
    write("train.txt", "The split\n")
    assert paragraphs(folder, data_config) == [("The split", "train.txt:1")]


def test_documents_stay_whole(write, data_config):
    path = write("a.txt", "\n\n".join(f"a{i}\nb{i}\nc{i}" for i in range(40)))
    data = load_splits(data_config("texts", path=path), 1, RUNNING_TEXT)
    owners = [{record["document"] for record in records} for records in data.splits.values()]
    assert sum(map(len, owners)) == 40 == len(set.union(*owners))
    assert "examples of one document kept together" in data.notes[0]


def test_words_with_tags(write, data_config):
    write("ca01", "\n\n\tThe/at 1\\/2/cd man/nn ./.\n\n\tAway/rb\n")
    path = write("cr09", "\tO/O\n")
    write("cats.txt", "ca01 news\n")
    assert paragraphs(path.parent, data_config, "brown") == [
        ("The 1\\/2 man .", "ca01:3"), ("Away", "ca01:3"), ("O", "cr09:1"),
    ]  # fmt: skip
    write("cr09", "\tno-tag\n")
    with pytest.raises(UserError, match="cr09:1: data.token_pattern finds nothing in word 0 'no-tag'"):
        paragraphs(path.parent, data_config, "brown")


def test_lines_of_turns(write, data_config):
    path = write("a.txt", "Hi , __eou__ Hello ! __eou__\t1\t2 2\nOne turn __eou__\n")
    records = load_splits(data_config("turns", path=path, **WHOLE), 1, DIALOGUES).splits["train"]
    assert [[turn["text"] for turn in record["turns"]] for record in records] == [["Hi ,", "Hello !"], ["One turn"]]
    assert records[0]["turns"][1]["role"] == "assistant"


def test_rows_with_further_cells(write, data_config):
    path = write("a.csv", 'g\tf\ty\t1\t4.5\t"a\tb"\ng\tf\ty\t2\t0\tc\td\tmore\tand more\n')
    records = load_split(data_config("stsb", path=path), "test", PAIRS).splits["test"]
    assert [(r["first"], r["second"], r["score"]) for r in records] == [('"a', 'b"', 4.5), ("c", "d", 0.0)]
    with pytest.raises(UserError, match="a.csv:2: 9 cells where the header or first row has 7"):
        load_split(data_config("stsb", path=path, ragged=False), "test", PAIRS)
    write("a.csv", "first,second,score\na,b,1,more\n")
    assert load_split(data_config("csv", path=path, ragged=True), "test", PAIRS).splits["test"][0]["score"] == 1
    write("a.csv", "first,second,score\na,b,1\na,b\n")
    with pytest.raises(UserError, match="a.csv:3: 2 cells where"):
        load_split(data_config("csv", path=path, ragged=True), "test", PAIRS)


def test_packed_files_are_read_in_every_form(write, data_config):
    forms = {
        "csv": ("a.csv.gz", "first,second,score\na,b,1\n", PAIRS), "squad": ("a.json.gz", squad(QUESTION), QUESTIONS),
        "jsonl": ("a.json.gz", '[{"text": "a", "target": "b"}]', WRITING),
        "semeval2010": ("a.txt.gz", BLOCKS, RELATIONS), "turns": ("a.txt.gz", "a __eou__ b", DIALOGUES),
    }  # fmt: skip
    for name, (file, content, reading) in forms.items():
        config = data_config(name, path=write(file, gzip.compress(content.encode())), **ANY_FILE)
        assert load_split(config, "test", reading).splits["test"], name


def test_a_hub_name_is_used_unless_own_files_are_named(data_config, tmp_path):
    assert data_config("trec").source == "hub" and data_config("trec", path=tmp_path).source == "files"
    own = {"train": str(tmp_path / "a.label"), "validation": None, "test": None}
    assert data_config("trec", files=own).source == "files"
    assert DataConfig(name="x", format="conll", files={"train": "a.conll"}).source == "files"
