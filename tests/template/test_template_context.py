"""Knowledge about terms: whole words found in any script, files with errors that name the line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from template_example import EXAMPLES, render_of

from rag_lightning.errors import UserError
from rag_lightning.template.context import Lookup, read_terms

TERMS = {
    "New": "not old",
    "New York": "a city",
    "York": "a town",
    "IBM": "a firm",
    "北京": "a capital",
    "القاهرة": "in Egypt",
    "C++": "code",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("he left new york", ["New York"]),
        ("New: he left new york for York", ["New", "New York", "York"]),
        ("Yorkshire and ibmx", []),
        ("(IBM), IBM's C++!", ["IBM", "C++"]),
        ("我爱北京天安门", ["北京"]),
        ("北 京", ["北京"]),
        ("سافر إلى القاهرة أمس", ["القاهرة"]),
        ("", []),
        ("🙂 IBM 🙂", ["IBM"]),
    ],
)
def test_terms_are_whole_words_the_longest_first(text: str, found: list[str]) -> None:
    assert Lookup(TERMS).find(text, 9) == found


@given(st.text(max_size=60), st.integers(1, 3))
def test_no_text_breaks_the_search(text: str, most: int) -> None:
    found = Lookup(TERMS).find(text + " IBM", most)
    assert 1 <= len(found) <= most
    assert set(found) <= set(TERMS)


def test_only_so_many_and_an_empty_word(knowledge: Path) -> None:
    assert Lookup(TERMS).context("York IBM", 1) == "York: a town"
    context = {"path": str(knowledge), "empty": "nothing known"}
    render, _ = render_of("context", "ner", knowledge, context=context)
    unknown = {**EXAMPLES["ner"], "tokens": ["Hm", "."]}
    assert render(unknown)[-1].words == ["nothing", "known"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", '\ufeffterm,text\r\n"New York","a city, large"\r\n\r\nIBM,a firm\r\n'),
        ("a.tsv", "text\tterm\na city, large\tNew York\na firm\tIBM\n"),
        ("a.jsonl", '{"term": "New York", "text": "a city, large"}\n\n{"term": "IBM", "text": "a firm"}\n'),
        ("a.yaml", 'New York: a city, large\nIBM: "a firm"\n'),
    ],
)
def test_every_form_is_read(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode())
    assert read_terms(file) == {"New York": "a city, large", "IBM": "a firm"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "trm,text\na,b\n", r"a\.csv:1: there is no column 'term'.*Call the column 'trm' 'term'"),
        ("a.csv", "term,text\na,b\nc\n", r"a\.csv:3: 1 cells where the header has 2"),
        ("a.csv", "term,text\na,b\na,c\n", r"a\.csv:3: the term 'a' stands here twice"),
        ("a.csv", "term,text\na,\n", r"a\.csv:2: .*may not be empty"),
        ("a.jsonl", '{"term": "a", "text": "b"}\n{"term": 1}\n', r"a\.jsonl:2: an object like"),
        ("a.jsonl", "{\n", r"a\.jsonl:1: not JSON"),
        ("a.yaml", "a: b\nc: [d]\n", r"a\.yaml:2: a line like"),
        ("a.yaml", "- a\n", r"a\.yaml:1: lines like"),
        ("a.yaml", "a: b\n\tc: d\n", r"a\.yaml:2: this is not YAML"),
        ("a.txt", "a", "the ending of the file"),
        ("a.csv", "", "the file is empty"),
        ("a.csv", b"term,text\n\xff,b\n", r"a\.csv:2: the file is not UTF-8"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        read_terms(file)


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"template\.context\.path=.*does not exist"):
        read_terms(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"template\.context\.path: .*no file"):
        render_of("context", "ner", tmp_path, context={"path": None})
