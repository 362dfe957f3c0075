"""JSON lines and parquet."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rag_lightning.data.fields import check_unique_ids
from rag_lightning.data.readers import jsonl, parquet
from rag_lightning.errors import UserError

GOOD = {"tokens": ["EU", "won"], "tags": ["B-ORG", "O"]}


def lines(*objects):
    return "\n".join(item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in objects) + "\n"


def test_tokens_and_tags(write, tokens_config):
    path = write("a.jsonl", "\ufeff" + lines({**GOOD, "id": 7, "more": 1}, "", GOOD).replace("\n", "\r\n"))
    assert jsonl.read(path, tokens_config("jsonl"), "train") == [
        {"source": "a.jsonl:1", "id": "7", **GOOD},
        {"source": "a.jsonl:3", **GOOD},
    ]


@pytest.mark.parametrize(
    "span", [{"start": 0, "end": 2, "label": "ORG"}, {"start": 0, "end": 2, "type": "ORG"}, [0, 2, "ORG"]]
)
def test_text_and_spans(write, tokens_config, span):
    path = write("a.jsonl", lines({"text": "EU won", "spans": [span]}, {"text": "No.", "entities": []}))
    records = jsonl.read(path, tokens_config("jsonl"), "train")
    assert records[0]["spans"] == [{"start": 0, "end": 2, "label": "ORG"}]
    assert records[1]["spans"] == []
    assert "tokens" not in records[0]


def test_a_json_list_is_read_too(write, tokens_config):
    records = jsonl.read(write("a.json", json.dumps([GOOD, GOOD], indent=1)), tokens_config("jsonl"), "train")
    assert [record["source"] for record in records] == ["a.json:item 1", "a.json:item 2"]


def test_other_field_names_and_numbered_labels(write, tokens_config):
    path = write("a.jsonl", lines({"words": ["EU", "\u2028"], "labels": [1, 0]}))
    config = tokens_config("jsonl", fields={"tokens": "words", "tags": "labels"}, label_names=["O", "B-ORG"])
    assert jsonl.read(path, config, "train")[0] | {"source": ""} == {
        "source": "", "tokens": ["EU", "\u2028"], "tags": ["B-ORG", "O"],
    }  # fmt: skip


BAD = {
    "broken": (lines(GOOD, '{"tokens": ["a"'), ":2", "not JSON: Expecting ',' delimiter at character", "one complete"),
    "no object": (lines(GOOD, "3"), ":2", "not 3", "one object a line"),
    "deep": (lines(GOOD, "[" * 100_000), ":2", "nested too deep", "one complete"),
    "missing": (
        lines(GOOD, {"words": ["a"], "labels": ["O"]}),
        ":2",
        "there is no `tokens` for the tokens; there is: words, labels",
        "If `words` holds the tokens, set data.fields.tokens=words.",
    ),
    "misspelt": (lines({"tokens": ["a"], "tagz": ["O"]}), ":1", "no `tags` or `ner_tags`", "data.fields.tags=tagz"),
    "no spans": (lines({"text": "a", "annotations": []}), ":1", "no `spans`", "data.fields.spans=annotations"),
    "null": (lines({"tokens": None, "tags": ["O"]}), ":1", "no `tokens`", "data.fields.tokens="),
    "tokens type": (lines(GOOD, {"tokens": 3, "tags": ["O"]}), ":2", "must be a list, but is 3", "Correct"),
    "token type": (lines(GOOD, {"tokens": ["a", 3], "tags": ["O", "O"]}), ":2", "token 1 must be a text, but is 3", ""),
    "tag type": (lines({"tokens": ["a"], "tags": [None]}), ":1", "tag 0 must be a name", "Correct"),
    "numbers": (lines({"tokens": ["a"], "tags": [3]}), ":1", "tag 0 is the number 3", "data.label_names="),
    "lengths": (lines(GOOD, {"tokens": ["a", "b"], "tags": ["O"]}), ":2", "2 tokens but 1 tags", "Give each token"),
    "text type": (lines({"text": ["a"], "spans": []}), ":1", "the text must be a text", "Correct"),
    "span form": (lines({"text": "a", "spans": [{"start": 0}]}), ":1", "span 0 must be", "Correct"),
    "span outside": (
        lines({"text": "abc", "spans": [[1, 9, "X"]]}),
        ":1",
        "does not lie in the text of 3",
        "exclusive",
    ),
    "span empty": (lines({"text": "abc", "spans": [[1, 1, "X"]]}), ":1", "the span 1–1 (X)", "exclusive"),
    "span overlap": (
        lines({"text": "abc", "spans": [[0, 2, "X"], [1, 3, "Y"]]}),
        ":1",
        "overlaps with 0–2",
        "Keep one",
    ),
    "surrogate": (lines(GOOD, r'{"tokens": ["\ud83d"], "tags": ["O"]}'), ":2", "lone surrogate U+D83D", "whole"),
    "surrogate in a name": (
        lines(r'{"tokens": ["a"], "tags\ud83d": ["O"]}'),
        ":1",
        "no `tags`",
        r"set data.fields.tags=tags\ud83d",
    ),
    "nul": (lines(GOOD, r'{"tokens": ["\u0000"], "tags": ["O"]}'), ":2", "a NUL character", "Remove"),
    "not utf-8": (lines(GOOD).encode() + b'{"tokens": ["\xfc"]}', ":2", "not UTF-8", "data.encoding=latin-1"),
    "empty": ("", "", "the file is empty", "data.path"),
    "empty list": ("[]", "", "no object", "data.path"),
}


@pytest.mark.parametrize(("content", "line", "reason", "remedy"), BAD.values(), ids=BAD.keys())
def test_bad_input_names_file_line_reason_and_remedy(write, tokens_config, content, line, reason, remedy):
    path = write("a.jsonl", content)
    with pytest.raises(UserError) as caught:
        jsonl.read(path, tokens_config("jsonl"), "train")
    message = str(caught.value)
    assert message.startswith(f"{path}{line}: ")
    assert reason in message
    assert remedy in message
    assert len(message) < 600 + len(str(path))


def test_duplicate_ids_name_both_places(write, tokens_config):
    path = write("a.jsonl", lines({**GOOD, "id": "x"}, {**GOOD, "id": "y"}, {**GOOD, "id": "x"}))
    with pytest.raises(UserError, match=r"a\.jsonl:3: the id 'x' stands twice, first at a\.jsonl:1.*data\.fields\.id"):
        check_unique_ids(jsonl.read(path, tokens_config("jsonl"), "train"))


def test_parquet_names_labels_that_datasets_stored(tmp_path, tokens_config):
    features = {
        "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
        "ner_tags": {"feature": {"names": ["O", "B-ORG"], "_type": "ClassLabel"}, "_type": "List"},
    }
    table = pa.table({"id": [0, 1], "tokens": [["EU", "won"], ["No"]], "ner_tags": [[1, 0], [0]]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "train.parquet")
    records = parquet.read(tmp_path / "train.parquet", tokens_config("parquet"), "train")
    assert records[0] == {"source": "train.parquet:row 1", "id": "0", **GOOD}


def test_parquet_written_by_datasets_itself(tmp_path, tokens_config):
    datasets = pytest.importorskip("datasets")
    kinds = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-ORG"])),
        }
    )
    data = datasets.Dataset.from_dict({"tokens": [["EU", "won"]], "ner_tags": [[1, 0]]}, features=kinds)
    data.to_parquet(tmp_path / "train.parquet")
    assert parquet.read(tmp_path / "train.parquet", tokens_config("hub"), "train")[0]["tags"] == ["B-ORG", "O"]


@pytest.mark.parametrize(
    ("table", "reason", "remedy"),
    [
        ({"words": [["a"]], "tags": [["O"]]}, "there is no `tokens`", "data.fields.tokens=words"),
        ({"tokens": [["a"]], "tags": [[1]]}, "tag 0 is the number 1", "data.label_names"),
        ({"tokens": [["a"], ["b", "c"]], "tags": [["O"], ["O"]]}, "row 2: 2 tokens but 1 tags", "Give each"),
        ({"tokens": pa.array([], pa.list_(pa.string()))}, "no row", "data.path"),
    ],
)
def test_bad_parquet(tmp_path, tokens_config, table, reason, remedy):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(UserError) as caught:
        parquet.read(tmp_path / "a.parquet", tokens_config("parquet"), "train")
    assert str(tmp_path / "a.parquet") in str(caught.value)
    assert reason in str(caught.value)
    assert remedy in str(caught.value)


def test_truncated_parquet(write, tokens_config):
    with pytest.raises(UserError, match="not a complete parquet file"):
        parquet.read(write("a.parquet", b"PAR1 and then nothing"), tokens_config("parquet"), "train")
