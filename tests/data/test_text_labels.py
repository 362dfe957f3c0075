"""Texts with one label, from every kind of file, and mistakes in them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_yaml import TEXTS, composed

from rag_lightning.data.load import load_split, load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.data.readers import READERS
from rag_lightning.errors import UserError

ROWS = [("Who won the race?", "sport"), ("It rains, again.", "weather"), ('A "good" goal', "sport")]


def read(data_config, path, name, **changes):
    data = load_split(data_config(name, path=path, **changes), "test", reading=TEXTS)
    return [(record["text"], record["label"]) for record in data.splits["test"]]


def test_every_format_gives_the_same_records(write, data_config, tmp_path):
    files = {
        "jsonl": write("a.jsonl", "".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in ROWS)),
        "csv": write("a.csv", 'text,label\r\nWho won the race?,sport\r\n"It rains, again.",weather\r\n'
                     '"A ""good"" goal",sport'),
        "labelled_lines": write("a.txt", "".join(f"{y} {t}\n" for t, y in ROWS)),
        "parquet": tmp_path / "a.parquet",
    }  # fmt: skip
    texts, labels = zip(*ROWS, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), files["parquet"])
    for name, path in files.items():
        assert read(data_config, path, name) == ROWS, name


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig", "utf-16"])
def test_encodings_and_byte_order_marks(write, data_config, encoding):
    path = write("a.csv", "text;label\nSchöne Grüße;café\nTschüß;bar\n".encode(encoding))
    shown = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    assert read(data_config, path, "csv", encoding=shown) == [("Schöne Grüße", "café"), ("Tschüß", "bar")]


def test_wrong_encoding_is_said_with_its_line(write, data_config):
    path = write("a.csv", "text,label\nok,a\nSchöne,b\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.csv:3: the file is not UTF-8.*data.encoding=latin-1"):
        read(data_config, path, "csv")


def test_columns_by_number_joined_and_renamed(write, data_config):
    path = write("a.csv", '"2","Cup final","They won."\n"1","Storm",""\n')
    config = {
        "header": False,
        "fields": {"label": 0},
        "join": {"text": [1, 2]},
        "label_names": {1: "World", 2: "Sports"},
    }
    assert read(data_config, path, "csv", **config) == [("Cup final They won.", "Sports"), ("Storm", "World")]


def test_join_gives_way_to_a_field_where_none_of_its_columns_is_there(write, data_config):
    path = write("a.jsonl", '{"text": "as it is", "label": "a"}')
    assert read(data_config, path, "jsonl", join={"text": ["title", "body"]}) == [("as it is", "a")]
    path = write("b.jsonl", '{"title": "T", "bdoy": "B", "text": "x", "label": "a"}')
    with pytest.raises(UserError, match=r"b\.jsonl:1: there is no `body`, which data.join.text names.*mean bdoy"):
        read(data_config, path, "jsonl", join={"text": ["title", "body"]})


LINES = [
    ("DESC:manner How did it go : well ?\n", {}, ("How did it go : well ?", "DESC:manner")),
    ("DESC:manner How did it go ?\n", {"label_pattern": "^[A-Z]+"}, ("How did it go ?", "DESC")),
    ("__label__pos very good\n", {"label_pattern": "__label__(.*)"}, ("very good", "pos")),
    ("mail me @ home@neutral\n", {"separator": "@", "fields": {"label": 1, "text": 0}}, ("mail me @ home", "neutral")),
    ("5\ta tab\tin it\n", {}, ("a tab\tin it", "5")),
]


@pytest.mark.parametrize(("content", "changes", "expected"), LINES)
def test_lines_are_cut_once(write, data_config, content, changes, expected):
    assert read(data_config, write("a.txt", content), "labelled_lines", **changes) == [expected]


@pytest.mark.parametrize("blank", ["", "  "])
def test_training_rows_without_label_are_unlabelled(write, data_config, blank):
    path = write("a.csv", f"text,label\none,x\ntwo,{blank}\nthree,y\n")
    config = data_config("csv", path=path, split={"validation": 0, "test": 0})
    loaded = load_splits(config, seed=1, reading=TEXTS)
    assert [(r["text"], r["label"]) for r in loaded.splits["train"]] == [("one", "x"), ("three", "y")]
    assert [(r["text"], "label" in r) for r in loaded.splits["unlabelled"]] == [("two", False)]
    assert any("1 of 3 train examples has no label and is unlabelled." in note for note in loaded.notes)
    path = write("a.csv", f"text,label,category\none,x,p\ntwo,{blank},q\n")
    config = data_config(
        "csv", path=path, split={"validation": 0, "test": 0}, fields={"text": "text", "label": ["label", "category"]}
    )
    assert load_splits(config, seed=1, reading=TEXTS).splits["unlabelled"][0]["text"] == "two"  # q is no label
    write("a.csv", f"text,label\none,{blank}\n")
    with pytest.raises(UserError, match="csv:2: the label is empty"):
        load_splits(config, seed=1, reading=TEXTS)


MISTAKES = [
    ("csv", "text,label\na,x\nb,\n", {}, r"a:3: the label is empty.*leave the row out"),
    ("csv", "text,topic\na,x\n", {}, "a:2: there is no `label` or .*is: text, topic.*data.fields.label=topic"),
    ("csv", "a\nb\n", {}, r"the header has one column only, 'a'.*data.separator"),
    ("jsonl", '{"text": "a", "label": ["x"]}', {}, r"a:1: the label must be one name or whole number"),
    ("jsonl", '{"text": "a", "label": null}', {}, r"a:1: the label is empty"),
    ("jsonl", '{"text": "a"}', {}, r"a:1: there is no `label`"),
    ("jsonl", '{"text": "a", "label": -1}', {}, r"a:1: the label is -1, which in data sets means that there is none"),
    ("jsonl", '{"text": 5, "label": 1}', {}, r"a:1: the text must be a text, but is 5"),
    ("jsonl", '["text"]', {}, r'a:item 1: an object like {"text": …, "label": …} is expected'),
    ("jsonl", '{"text": "a", "label": 7}', {"label_names": ["x"]}, r"label '7' is not in data.label_names \(0\)"),
    ("jsonl", '{"text": "a", "label": "?"}', {"label_pattern": "[a-z]+"}, "pattern finds nothing in the label '.'"),
    ("labelled_lines", "x one\nno-separator\n", {}, r"a:2: no space parts label and text in 'no-separator'"),
    ("labelled_lines", "x one\n", {"fields": {"label": 3}}, r"data.fields.label: a line has two columns, not 3"),
    ("conll", "EU B-ORG\n", {}, "data=conll gives `tokens` and `tags`, and this task needs text and label"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "changes", "said"), MISTAKES)
def test_mistakes_are_told(write, data_config, name, content, changes, said):
    with pytest.raises(UserError, match=said) as caught:
        read(data_config, write("a", content), name, **changes)
    assert caught.value.remedy


def test_texts_with_labels_are_no_data_for_tags(write, data_config):
    path = write("train.tsv", "sentence\tlabel\ngood\t1\n")
    with pytest.raises(UserError, match="data=sst2 gives `text` and `label`, and this task needs tokens and tags"):
        load_split(data_config("sst2", path=path), "test")


@pytest.mark.parametrize(
    ("stored", "names", "label"),
    [
        (1, None, "1"), (1, ["no", "yes"], "yes"), ("yes", ["no", "yes"], "yes"), (True, None, "true"),
        (2.0, None, "2"), ("pos", {"pos": "positive"}, "positive"), (0, {"0": "negative"}, "negative"),
        ("  a b ", None, "a b"),
    ],
)  # fmt: skip
def test_what_stands_for_a_label(write, data_config, stored, names, label):
    path = write("a.jsonl", json.dumps({"text": "t", "label": stored}))
    assert read(data_config, path, "jsonl", label_names=names) == [("t", label)]


def test_label_names_of_the_hubs_parquet_are_taken(data_config, tmp_path):
    features = {"label": {"names": ["ABBR", "ENTY"], "_type": "ClassLabel"}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pa.table({"text": ["t"], "label": [1]}).replace_schema_metadata(meta), tmp_path / "a.parquet")
    assert read(data_config, tmp_path / "a.parquet", "parquet") == [("t", "ENTY")]


def test_empty_texts_are_left_out_and_counted(write, data_config):
    rows = [{"text": f"word{i}", "label": "ab"[i % 2]} for i in range(30)]
    path = write("a.jsonl", "\n".join(map(json.dumps, [*rows, {"text": " \n", "label": "a"}])))
    data = load_splits(data_config("jsonl", path=path), 1, reading=TEXTS)
    assert data.notes[0] == "1 example of train had no word and was left out."


def test_duplicate_ids(write, data_config):
    path = write("a.jsonl", '{"id": 1, "text": "a", "label": "x"}\n{"id": 1, "text": "b", "label": "y"}')
    with pytest.raises(UserError, match=r"a\.jsonl:2: the id '1' stands twice, first at a\.jsonl:1"):
        read(data_config, path, "jsonl")


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no regular expression"):
        DataConfig(**(composed("trec") | {"label_pattern": "("}))


SIZES = {
    "sst2": ({"train": 6920, "validation": 872, "test": 1821}, {"negative", "positive"}),
    "trec": ({"train": 4634, "validation": 818, "test": 500}, {"ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"}),
    "banking77": ({"train": 8503, "validation": 1500, "test": 3080}, 77),
    "ag_news": ({"train": 3040, "validation": 760, "test": 3800}, {"World", "Sports", "Business", "Sci/Tech"}),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_real_files(name, shared, data_config):
    data = load_splits(data_config(name, path=shared / "data" / name), 1, reading=TEXTS)
    sizes, labels = SIZES[name]
    assert {split: len(records) for split, records in data.splits.items()} == sizes
    for split in ("train", "test"):
        found = {record["label"] for record in data.splits[split]}
        assert found == labels or len(found) == labels
        assert all(record["text"].strip() for record in data.splits[split])


def test_ag_news_has_title_and_description(shared, data_config):
    config = data_config("ag_news", path=shared / "data/ag_news/test.csv")
    first = READERS["csv"](shared / "data/ag_news/test.csv", config, "test")[0]
    assert first["text"].startswith("Fears for T N pension after talks Unions representing workers")
    assert first["label"] == "Business"


def test_trec_fine_types(shared, data_config):
    config = data_config("trec", path=shared / "data/trec", label_pattern=None)
    train = load_splits(config, 1, reading=TEXTS).splits["train"]
    assert len({record["label"] for record in train}) in (49, 50)
