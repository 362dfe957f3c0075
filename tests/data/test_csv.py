"""CSV and TSV."""

import csv
import io

import pytest

from rag_lightning.data.readers.csv import read
from rag_lightning.errors import UserError

WORDS = {"tokens": "word", "tags": "tag"}


def rows(records):
    return [(record["tokens"], record["tags"]) for record in records]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_a_token_a_row(write, tokens_config, separator):
    text = "\ufeffsid,word,tag\r\n1,EU,B-ORG\r\n1,won,O\r\n2,OK,O\r\n".replace(",", separator)
    records = read(write("a.csv", text), tokens_config("csv", group_by="sid"), "train")
    assert rows(records) == [(["EU", "won"], ["B-ORG", "O"]), (["OK"], ["O"])]
    assert [(record["id"], record["source"]) for record in records] == [("1", "a.csv:2"), ("2", "a.csv:4")]


def test_group_named_in_its_first_row_only_and_latin_1(write, tokens_config):
    content = (
        'Sentence #,Word,POS,Tag\nSentence: 1,Zürich,NN,B-geo\n,",",",",O\n,"""",``,O\nSentence: 2,"x\u00a0y",NN,O\n'
    )
    config = tokens_config("csv", group_by="Sentence #", encoding="latin-1", fields={"tokens": "Word", "tags": "Tag"})
    records = read(write("a.csv", content.encode("latin-1")), config, "train")
    assert rows(records) == [(["Zürich", ",", '"'], ["B-geo", "O", "O"]), (["x\u00a0y"], ["O"])]


@pytest.mark.parametrize(
    "cells",
    [
        '"[""EU"", ""won""]","[""B-ORG"", ""O""]"',
        "\"['EU', 'won']\",\"['B-ORG', 'O']\"",
        "EU won,B-ORG O",
        "EU  won ,B-ORG O",
    ],
    ids=["json", "python", "words", "spaces"],
)
def test_an_example_a_row(write, tokens_config, cells):
    records = read(write("a.csv", f"tokens,tags\n{cells}\n\n{cells}\n"), tokens_config("csv"), "train")
    assert rows(records) == [(["EU", "won"], ["B-ORG", "O"])] * 2


def test_text_and_spans(write, tokens_config):
    records = read(write("a.csv", 'text,spans\n"EU, won","[[0, 2, ""ORG""]]"\n'), tokens_config("csv"), "train")
    assert records[0]["spans"] == [{"start": 0, "end": 2, "label": "ORG"}]


def test_without_header_columns_have_numbers(write, tokens_config):
    config = tokens_config("csv", header=False, group_by=0, fields={"tokens": 1, "tags": -1})
    assert rows(read(write("a.csv", "1,EU,B-ORG\n1,won,O\n"), config, "train")) == [(["EU", "won"], ["B-ORG", "O"])]


def test_quotation_marks_in_tab_separated_files(write, tokens_config):
    plain = 'sid\tword\ttag\n1\t"\tO\n1\tEU\tB-ORG\n1\t"\tO\n'
    buffer = io.StringIO()
    csv.writer(buffer, delimiter="\t").writerows(
        [["sid", "word", "tag"], [1, '"', "O"], [1, "EU", "B-ORG"], [1, '"', "O"]]
    )
    for name, text in (("plain.tsv", plain), ("quoted.tsv", buffer.getvalue())):
        records = read(write(name, text), tokens_config("csv", group_by="sid"), "train")
        assert rows(records) == [(['"', "EU", '"'], ["O", "B-ORG", "O"])]


def test_a_cell_of_200_000_characters(write, tokens_config):
    limit = csv.field_size_limit()
    records = read(
        write("a.csv", "sid,word,tag\n1," + "a" * 200_000 + ",O\n"), tokens_config("csv", group_by="sid"), "train"
    )
    assert len(records[0]["tokens"][0]) == 200_000
    assert csv.field_size_limit() == limit


BAD = {
    "short row": ("sid,word,tag\n1,a,O\n1,b\n", ":3", "2 cells where the header or first row has 3", "correct the row"),
    "long row": ("sid,word,tag\n1,a,O\n1,b,c,O\n", ":3", "4 cells where", '"quotation marks"'),
    "open quote": ('sid,word,tag\n1,",O\n1,b,O\n', ":2", "quotation marks do not fit", "data.quoting=false"),
    "quote over lines": ('sid,word,tag\n1,",O\n1,b",O\n', ":2", "goes over 2 lines", "data.quoting=false"),
    "no group column": ("number,word,tag\n1,a,O\n", ":1", "there is: number, word, tag", "Set data.group_by"),
    "near group column": ("sids,word,tag\n1,a,O\n", ":1", "no column 'sid'", "Did you mean data.group_by='sids'?"),
    "no word column": ("sid,Word,tag\n1,a,O\n", ":1", "no `tokens` or `token` or `word`", "data.fields.tokens=Word"),
    "no tag column": ("sid,word,Tag\n1,a,O\n", ":1", "no `tags` or `tag`", "data.fields.tags=Tag"),
    "empty tag": ("sid,word,tag\n1,a,O\n1,b,\n", ":3", "the tag is empty", "Write O"),
    "apart": ("sid,word,tag\n1,a,O\n2,b,O\n1,c,O\n", ":4", "another one; it began at line 2", "Sort"),
    "twice": ("sid,word,word\n1,a,O\n", ":1", "the column 'word' stands twice", "Rename"),
    "header only": ("sid,word,tag\n", "", "no row of data", "data.path"),
    "empty": ("\n\n", "", "the file is empty", "data.path"),
    "nul": ("sid,word,tag\n1,\x00,O\n", ":2", "NUL", "Remove"),
    "not utf-8": (b"sid,word,tag\n1,\xfc,O\n", ":2", "not UTF-8", "data.encoding=latin-1"),
    "separator": ("sid:word:tag\n1:a:O\n", ":1", "no column 'sid'; there is: sid:word:tag", "data.group_by"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "line", "reason", "remedy"), BAD.values(), ids=BAD.keys())
def test_bad_input_names_file_line_reason_and_remedy(write, tokens_config, content, line, reason, remedy):
    path = write("a.csv", content)
    with pytest.raises(UserError) as caught:
        read(path, tokens_config("csv", group_by="sid"), "train")
    message = str(caught.value)
    assert message.startswith(f"{path}{line}: ")
    assert reason in message
    assert remedy in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("word,tag\nEU,B-ORG\nwon,O\n", "each row holds one token.*data.group_by.*word, tag"),
        ("tokens,tags\nEU won,O\n", r"a\.csv:2: 2 tokens but 1 tags"),
        ("tokens,tags\n\"['a' 'b']\",O\n", "must be a list such as"),
        ("tokens\nEU won\n", "one column only"),
    ],
)
def test_bad_examples_a_row(write, tokens_config, content, said):
    with pytest.raises(UserError, match=said):
        read(write("a.csv", content), tokens_config("csv"), "train")
