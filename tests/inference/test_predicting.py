"""``python -m rag_lightning.predict``: JSON lines, one for each input, whatever the input."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Command

from rag_lightning.errors import UserError
from rag_lightning.inference import predicting
from rag_lightning.predict import predict

ODD = [
    "", "   ", "\u200b", "🙂🙂🙂", "👨\u200d👩\u200d👧 in London", "東京は日本の首都です", "عاش أحمد في لندن",
    "שלום London", "a" * 5000, "e\u0301tude in Paris", "[CLS] [SEP] [MASK] London", "<s> </s> London", "{not JSON",
    "\ttabs\t", "Ⅷ ½ ﬁ",
]  # fmt: skip


def answers(finished: Path, tmp_path: Path, *overrides: str) -> list[dict[str, Any]]:
    output = tmp_path / "answers.jsonl"
    count = predict([f"run={finished}", f"output={output}", *overrides])
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert count == len(rows)
    assert not output.with_name("answers.jsonl.part").exists()
    return rows


def found(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(entity["text"], entity["type"]) for entity in answer["entities"]]


def written(tmp_path: Path, name: str, *lines: str) -> str:
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return f"input={path}"


def test_one_text(finished: Path, tmp_path: Path) -> None:
    [answer] = answers(finished, tmp_path, "text='Ada Lovelace lived in London.'")
    assert found(answer) == [("Ada Lovelace", "PER"), ("London", "LOC")]
    assert answer["text"] == "Ada Lovelace lived in London."
    assert all(0.5 < entity["confidence"] <= 1 for entity in answer["entities"])


def test_every_line_is_answered_in_order_whatever_is_in_it(finished: Path, tmp_path: Path) -> None:
    rows = answers(finished, tmp_path, written(tmp_path, "odd.txt", *ODD))
    assert [row["text"] for row in rows] == ODD
    for row in rows:
        for entity in row["entities"]:
            assert row["text"][entity["start"] : entity["end"]] == entity["text"]
            assert entity["text"].strip() == entity["text"] != ""


def test_a_last_line_without_end_and_windows_line_ends(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.txt"
    path.write_bytes(b"\xef\xbb\xbfPeter saw New York .\r\nIt rained all day .")
    rows = answers(finished, tmp_path, f"input={path}")
    assert [row["text"] for row in rows] == ["Peter saw New York .", "It rained all day ."]


def test_no_word_of_a_long_text_is_lost(finished: Path, tmp_path: Path, sentences: list[list[str]]) -> None:
    long = " ".join(" ".join(words) for words in sentences * 100)
    assert len(long.split()) > 4000
    [answer] = answers(finished, tmp_path, written(tmp_path, "long.txt", long))
    alone = answers(finished, tmp_path, written(tmp_path, "short.txt", *(" ".join(words) for words in sentences)))
    assert len(answer["entities"]) >= 0.9 * 100 * sum(len(row["entities"]) for row in alone)
    ends = [entity["end"] for entity in answer["entities"]]
    assert ends == sorted(ends)
    assert ends[-1] > len(long) - 30


def test_json_lines_with_text_tokens_and_ids(finished: Path, tmp_path: Path) -> None:
    lines = [
        {"id": "a", "text": "Peter saw New York ."},
        {"id": 7, "tokens": ["Peter", "saw", "New", "York", "."]},
        {"tokens": []},
        {"text": "", "id": None},
        {"tokens": ["Marie", "", "\u200b", "works"], "tags": ["not", "read"]},
    ]
    rows = answers(finished, tmp_path, written(tmp_path, "in.jsonl", *map(json.dumps, lines)))
    assert [row.get("id", "-") for row in rows] == ["a", 7, "-", None, "-"]
    assert found(rows[0]) == found(rows[1]) == [("Peter", "PER"), ("New York", "LOC")]
    assert rows[1]["tags"] == ["B-PER", "O", "B-LOC", "I-LOC", "O"]
    assert rows[1]["entities"][1] | {"confidence": 0} == {
        "start": 2, "end": 4, "type": "LOC", "text": "New York", "confidence": 0,
    }  # fmt: skip
    assert rows[2]["tags"] == rows[2]["entities"] == []
    assert len(rows[4]["tags"]) == 4


def test_conll_columns_and_a_folder_of_everything(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("It rained all day .\n")
    (folder / "deep" / "b.conll").write_text("Peter O\nsaw O\nNew O\nYork O\n\nIt O\nrained O\n")
    (folder / "c.jsonl").write_text('{"text": "Paris is far from Oslo ."}\n\n')
    (folder / "notes.md").write_text("not read")
    rows = answers(finished, tmp_path, f"input={folder}")
    assert len(rows) == 4
    assert [found(row) for row in rows] == [
        [], [("Paris", "LOC"), ("Oslo", "LOC")], [("Peter", "PER"), ("New York", "LOC")], [],
    ]  # fmt: skip
    assert rows[2]["tokens"] == ["Peter", "saw", "New", "York"]


def test_the_size_of_batches_and_groups_changes_no_answer(
    finished: Path, tmp_path: Path, sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = written(tmp_path, "in.txt", *(" ".join(words) for words in sentences * 3), *ODD)
    expected = answers(finished, tmp_path, given)
    for tokens in (1, 40):
        again = answers(finished, tmp_path, given, f"tokens={tokens}")
        assert [found(row) for row in again] == [found(row) for row in expected]
    monkeypatch.setattr(predicting, "GROUP", 5)
    assert [found(row) for row in answers(finished, tmp_path, given)] == [found(row) for row in expected]


def test_standard_input_gives_json_and_nothing_else(
    finished: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('Peter saw New York .\n\n{"tokens": ["Paris"], "id": 3}\n'))
    outcome = run("predict", f"run={finished}")
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0
    assert len(rows) == 3
    assert found(rows[0]) == [("Peter", "PER"), ("New York", "LOC")]
    assert rows[1] == {"text": "", "entities": []}
    assert rows[2]["id"] == 3


@pytest.mark.slow
def test_a_real_process_writes_only_json_to_its_output(finished: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rag_lightning.predict", f"run={finished}"], input="Peter saw New York .\n東京\n",
        capture_output=True, text=True, encoding="utf-8", cwd=Path(__file__).parents[2], timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["Peter saw New York .", "東京"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("input={tmp}/nothing.txt", "the file does not exist"),
        ("input={tmp}/empty", "there is nothing to read"),
        ("input={tmp}/bad.jsonl", "bad.jsonl:2: not JSON"),
        ("input={tmp}/keys.jsonl", "keys.jsonl:1: an input needs text or tokens"),
        ("input={tmp}/types.jsonl", "types.jsonl:1: an input needs text or tokens"),
        ("input={tmp}/latin.txt", "latin.txt: not UTF-8"),
        ("input={tmp}/empty.conll", "empty.conll: the file is empty"),
        ("device=cuda:7 text=x", "device: the device cannot be used"),
        ("device=fpga text=x", "device: the device cannot be used"),
        ("generation=beams text=x", "generation: task ner writes no text"),
        ("tokens=0 text=x", "tokens must be greater than or equal to 1"),
        ("+tokns=3 text=x", "unknown key 'tokns'. Did you mean tokens?"),
    ],
)
def test_bad_input_is_told(override: str, said: str, finished: Path, tmp_path: Path, run: Command) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.jsonl").write_text('{"text": "x"}\n{"text":\n')
    (tmp_path / "keys.jsonl").write_text('{"txt": "x"}\n')
    (tmp_path / "types.jsonl").write_text("[1]\n")
    (tmp_path / "latin.txt").write_bytes("Köln\n".encode("latin-1"))
    (tmp_path / "empty.conll").write_text("")
    outcome = run("predict", f"run={finished}", f"output={tmp_path}/out.jsonl", *override.format(tmp=tmp_path).split())
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not outcome.out
    assert not list(tmp_path.glob("out.jsonl*"))


def test_what_is_no_finished_run_is_told(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run's folder") as caught:
        predict([f"run={finished.parent / 'other'}", "text=x"])
    assert str(finished) in str(caught.value)  # the runs that are there
    copy = shutil.copytree(finished, tmp_path / "copy")
    shutil.rmtree(copy / "model")
    (copy / "status.json").write_text('{"state": "stopped"}')
    with pytest.raises(UserError, match=r"no model yet \(its state: stopped\)"):
        predict([f"run={copy}", "text=x"])
    with pytest.raises(UserError, match="run is needed"):
        predict(["text=x"])


@pytest.mark.parametrize(
    "damage", ["weights cut off", "no tokenizer", "no weights", "config is no JSON", "config gone"]
)
def test_a_damaged_model_folder_is_told(damage: str, finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    model = copy / "model"
    if damage == "weights cut off":
        content = (model / "model.safetensors").read_bytes()
        (model / "model.safetensors").write_bytes(content[: len(content) // 2])
    elif damage == "config is no JSON":
        (model / "config.json").write_text('{"model_type":')
    else:
        for name in {"no tokenizer": ("tokenizer.json", "tokenizer_config.json"), "no weights": ("model.safetensors",),
                     "config gone": ("config.json",)}[damage]:  # fmt: skip
            (model / name).unlink()
    with pytest.raises(UserError) as caught:
        predict([f"run={copy}", "text=x"])
    assert str(model) in str(caught.value)
    assert caught.value.remedy


def test_a_folder_that_was_moved_works(finished: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(finished, tmp_path / "moved")
    [answer] = answers(moved, tmp_path, "text='Peter saw New York .'")
    assert found(answer) == [("Peter", "PER"), ("New York", "LOC")]


def test_the_pipeline_of_transformers_finds_the_same(
    finished: Path, tmp_path: Path, sentences: list[list[str]]
) -> None:
    from transformers import pipeline

    model = pipeline("token-classification", model=str(finished / "model"), aggregation_strategy="simple", device="cpu")
    texts = [" ".join(words) for words in sentences]
    ours = answers(finished, tmp_path, written(tmp_path, "in.txt", *texts))
    theirs = [{(e["start"], e["end"], e["entity_group"]) for e in found} for found in model(texts)]
    for row, expected in zip(ours, theirs, strict=True):
        assert {(e["start"], e["end"], e["type"]) for e in row["entities"]} == expected, row["text"]
    assert sum(map(len, theirs)) == 15
