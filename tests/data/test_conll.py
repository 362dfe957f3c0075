"""CoNLL columns: what must be kept, and what must be refused with file, line and remedy."""

import time

import pytest

from rag_lightning.data.readers.conll import read
from rag_lightning.errors import UserError

ODD = [
    "\u200b",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\x85",
    "\x0c",
    "👨‍👩‍👧",
    "שלום",
    "مرحبا",
    "字",
    '"',
    "#",
    "e\u0301",
    "-",
]


def rows(records):
    return [(record["tokens"], record["tags"]) for record in records]


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("token", ODD)
def test_odd_tokens_keep_their_place(write, data_config, token, separator):
    path = write("a.conll", f"x{separator}O\n{token}{separator}B-PER\ny{separator}O\n\nz{separator}O\n")
    expected = [(["x", token, "y"], ["O", "B-PER", "O"]), (["z"], ["O"])]
    assert rows(read(path, data_config(), "train")) == expected


@pytest.mark.parametrize("separator", ["\t", " "])
def test_empty_token_keeps_its_place(write, data_config, separator):
    path = write("a.conll", f"x{separator}O\n{separator}B-PER\ny{separator}O\n")
    assert rows(read(path, data_config(), "train")) == [(["x", "", "y"], ["O", "B-PER", "O"])]


@pytest.mark.parametrize(
    "content",
    [
        b"EU B-ORG\nwon O\n\nOK O\n",
        b"\xef\xbb\xbfEU B-ORG\r\nwon O\r\n\r\nOK O\r\n",
        b"\xef\xbb\xbfEU B-ORG\rwon O\r\rOK O",
        b"\n\n \t \nEU B-ORG\nwon O\n\t\n  \n\nOK O",
        b"EU   B-ORG\nwon  O  \n\nOK   O\n",
        b"-DOCSTART- -X- O O\n\nEU B-ORG\nwon O\n-DOCSTART-\nOK O\n",
        b"# id 1\tdomain=x\nEU B-ORG\nwon O\n\n# comment\nOK O\n",
    ],
    ids=["plain", "bom+crlf", "cr", "blank lines", "aligned", "docstart", "comments"],
)
def test_same_sentences_however_written(write, data_config, content):
    assert rows(read(write("a.conll", content), data_config(), "train")) == [
        (["EU", "won"], ["B-ORG", "O"]),
        (["OK"], ["O"]),
    ]


def test_hash_signs_that_are_tokens_are_no_comments(write, data_config):
    path = write("a.conll", "# O\n#tag B-MISC\nx O\n\n#1 O\n# O\n")
    assert [record["tokens"] for record in read(path, data_config(), "train")] == [["#", "#tag", "x"], ["#1", "#"]]


def test_comment_with_as_many_columns_as_a_row(write, data_config):
    path = write("a.conll", "# id 52f domain=en\nEU _ _ B-ORG\n\n# id 53a domain=en\n# _ _ O\n")
    assert [record["tokens"] for record in read(path, data_config(), "train")] == [["EU"], ["#"]]


def test_part_of_a_token(write, data_config):
    path = write("a.conll", "科0\tO\n1\tO\n")
    with pytest.raises(UserError, match=r"a.conll:1: data.token_pattern finds nothing in token 1 '1'.*takes tokens as"):
        read(path, data_config(token_pattern="[^0-9]"), "train")
    assert rows(read(path, data_config(token_pattern="^."), "train")) == [(["科", "1"], ["O", "O"])]


def test_source_is_the_line_of_the_first_token(write, data_config):
    path = write("a.conll", "\n\nx O\ny O\n\n\nz O\n")
    assert [record["source"] for record in read(path, data_config(), "train")] == ["a.conll:3", "a.conll:7"]


def test_columns_by_number_and_separator(write, data_config):
    path = write("a.csv", "1,O,EU\n2,B-PER,Ann\n")
    config = data_config(separator="comma", fields={"tokens": 2, "tags": 1})
    assert rows(read(path, config, "train")) == [(["EU", "Ann"], ["O", "B-PER"])]
    config = data_config(separator="comma", fields={"tokens": -1, "tags": None})
    assert "tags" not in read(path, config, "train")[0]


def test_tokens_with_spaces_between_tabs(write, data_config):
    path = write("a.tsv", "New York\tB-LOC\nis\tO\n")
    assert rows(read(path, data_config(), "train")) == [(["New York", "is"], ["B-LOC", "O"])]


def test_gzip_and_latin_1(write, data_config):
    import gzip

    path = write("a.conll.gz", gzip.compress("Zürich B-LOC\n".encode("latin-1")))
    assert read(path, data_config(encoding="latin-1"), "train")[0]["tokens"] == ["Zürich"]


BAD = {
    "missing column": ("x NN O\ny O\nz NN O\n", ":2", "2 columns where other lines have 3", "Put 3 columns"),
    "extra column": ("x O\nNew York B-LOC\nz O\n", ":2", "3 columns", "Put 2 columns"),
    "wrong first row": ("x\ny O\nz O\n", ":1", "1 column where", "Put 2 columns"),
    "spaces among tabs": ("x\tO\ny\tO\nz O\n", ":3", "parts its columns with spaces, other lines with tabs", "Use one"),
    "tabs among spaces": (
        "x O\ny\tO\nz O\nw O\n",
        ":2",
        "parts its columns with tabs, other lines with spaces",
        "Use one",
    ),
    "mixed in one line": ("x\tNN\tO\ny NN\tO\n", ":2", "parts its columns with spaces", "Use one"),
    "no tag": ("x\tO\ny\t\n", ":2", "the token 'y' has no tag", "Write O"),
    "empty": ("", "", "the file is empty", "data.path"),
    "only white space": ("\n \n\t\n", "", "the file is empty", "data.path"),
    "only document marks": ("-DOCSTART- O\n\n-DOCSTART- O\n", "", "no sentence", "data.path"),
    "not utf-8": (b"x O\nZ\xfcrich O\n", ":2", "not UTF-8: byte 0xfc at offset 5", "data.encoding=latin-1"),
    "utf-16": ("x O\n".encode("utf-16"), ":1", "UTF-16", "data.encoding=utf-16"),
    "nul": ("x O\ny O\nz\x00 O\n", ":3", "a NUL character stands at character 2", "Remove it"),
    "one column": ("x\ny\n", "", "both column 0 of 1", "data.separator"),
    "comma": ("x,O\ny,O\n", "", "both column 0 of 1", "data.separator"),
    "long line": ("x NN O\n" + "a" * 200_000 + " O\n", ":2", "the line has 200,002 characters", "blank line"),
}


@pytest.mark.parametrize(("content", "line", "reason", "remedy"), BAD.values(), ids=BAD.keys())
def test_bad_input_names_file_line_reason_and_remedy(write, data_config, content, line, reason, remedy):
    path = write("a.conll", content)
    with pytest.raises(UserError) as caught:
        read(path, data_config(), "train")
    message = str(caught.value)
    assert message.startswith(f"{path}{line}: ")
    assert reason in message
    assert remedy in message
    assert len(message) < 500 + len(str(path))


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"tags": 5}, "have 2 columns"), ({"tags": "tag"}, "numbers, not names"), ({"tokens": None}, "no column")],
)
def test_bad_columns(write, data_config, fields, said):
    with pytest.raises(UserError, match=said):
        read(write("a.conll", "x O\n"), data_config(fields=fields), "train")


def test_damaged_gzip(write, data_config):
    with pytest.raises(UserError, match="damaged or cut off"):
        read(write("a.conll.gz", b"\x1f\x8b\x08\x00abc"), data_config(), "train")


def test_long_lines_are_read_in_linear_time(write, data_config):
    long = "a" * 200_000
    path = write("a.conll", f"{long} B-PER\n{' ' * 200_000}\n" * 20 + "#" * 200_000 + " O\n")
    start = time.perf_counter()
    records = read(path, data_config(), "train")
    assert time.perf_counter() - start < 2
    assert [record["tokens"] for record in records[:20]] == [[long]] * 20


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("conll2003", {"eng.train": (14041, 203621), "eng.testa": (3250, 51362), "eng.testb": (3453, 46435)}),
        (
            "wnut17",
            {
                "wnut17train.conll": (3394, 62730),
                "emerging.dev.conll": (1009, 15733),
                "emerging.test.annotated": (1287, 23394),
            },
        ),
        (
            "weibo_ner",
            {f"weiboNER_2nd_conll.{s}": (n, None) for s, n in (("train", 1350), ("dev", 270), ("test", 270))},
        ),
    ],
)
def test_real_files_have_the_published_counts(shared, data_config, folder, expected):
    for name, (sentences, tokens) in expected.items():
        records = read(shared / "data" / folder / name, data_config(), "train")
        assert len(records) == sentences
        assert tokens in (None, sum(len(record["tokens"]) for record in records))
