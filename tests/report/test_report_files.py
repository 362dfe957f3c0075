"""A synthetic run through everything that a reader gets to see."""

import io
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from example_run import evaluation, history, run_info
from huggingface_hub import ModelCard
from rich.console import Console

from rag_lightning.report.files import write_text
from rag_lightning.report.history import read_history, series
from rag_lightning.report.info import main_evaluation
from rag_lightning.report.markdown import escape, render_report
from rag_lightning.report.terminal import print_closing, print_evaluation
from rag_lightning.report.text import cell, count, duration
from rag_lightning.report.write import write_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "model").mkdir()
    info = run_info(history(folder / "history.jsonl"))
    write_report(folder, info, [evaluation("validation"), evaluation("test")])
    return folder


def test_files_of_a_run(folder: Path) -> None:
    expected = {
        "report.md",
        "metrics.json",
        "predictions.jsonl",
        "predictions-validation.jsonl",
        "curves.png",
    }
    expected |= {"confusion.png", "confusion-validation.png", "history.jsonl", "model"}
    assert {path.name for path in folder.iterdir()} == expected  # and nothing temporary


def test_report_says_what_ran_and_how_well(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# ner-größe-lr3e-5\n\n**f1 0.788** on test, trained in 3 min 12 s.")
    assert "```bash\npython -m rag_lightning.train task=ner optimizer.lr=3e-5\n```" in text
    assert "| `optimizer.lr` | `3e-05` |" in text
    assert "`ab12cd34`" in text
    assert "22.7 M, 10.6 M trained (47 %)" in text
    assert "| ORT | 0.910 | 0.800 | 0.851 | 1,668 |" in text
    assert "| f1 | 0.788 | 0.788 |" in text
    assert "| loss | – | – |" in text
    assert "- 3 words got no prediction." in text
    assert "- Tags were IOB1" in text
    assert "```bash\npython -m rag_lightning.evaluate run=runs/x\n```" in text
    assert "```python\nfrom transformers import pipeline" in text
    for picture in ("curves.png", "confusion.png", "confusion-validation.png"):
        assert f"]({picture})" in text
        assert (folder / picture).is_file()


def test_report_lists_ten_mistakes_that_stay_in_their_cells(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "10 of 12 mispredicted examples." in text
    rows = [line for line in text.splitlines() if line.startswith("| test-")]
    assert len(rows) == 10
    assert r"Sie sah 東京 \| \*alles\* und \<b\>\`mehr\`\</b\>" in rows[0]
    assert rows[0].replace(r"\|", "").count("|") == 5


def test_report_of_an_evaluation_alone(tmp_path: Path) -> None:
    info = replace(run_info(), duration_s=None, best_epoch=None, card=None, usage=[], notes=[], settings={})
    write_report(tmp_path, info, [evaluation("validation")])
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "curves.png" not in text
    assert "Use it again" not in text
    assert "](confusion.png)" in text
    assert (tmp_path / "predictions.jsonl").is_file()


def test_report_without_any_evaluation(tmp_path: Path) -> None:
    assert "## What ran" in render_report(tmp_path, run_info(), [])
    assert main_evaluation([]) is None


def test_metrics_are_valid_json(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert metrics["headline"] == {"split": "test", "name": "f1", "value": 0.788}
    assert metrics["metrics"]["test"]["ORT/f1"] == 0.851
    assert metrics["metrics"]["validation"]["loss"] is None  # was NaN
    assert metrics["split_sizes"]["train"] == 250


def test_predictions_come_back_as_they_were(folder: Path) -> None:
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == evaluation("test").predictions
    assert "Köln" in lines[0]
    assert "😀" in lines[0]


def test_files_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.json"
    write_text(path, "old")
    assert path.stat().st_mode & stat.S_IRUSR

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_model_card_is_one(folder: Path) -> None:
    card = ModelCard((folder / "model" / "README.md").read_text(encoding="utf-8"))
    data: Any = card.data
    assert data.pipeline_tag == "token-classification"
    assert data.get("library_name") == "transformers"
    assert data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert data.language == ["en"]
    assert data.license is None
    assert data.datasets is None
    results = {result.metric_type: result.metric_value for result in data.eval_results}
    assert results == {"f1": 0.788, "precision": 0.9, "recall": 0.7}
    assert data.eval_results[0].dataset_split == "test"
    for words in (
        "aggregation_strategy",
        "`optimizer.lr`",
        "## Limits",
        "250 train",
        "| Größe |",
        "250 examples only",
    ):
        assert words in card.text


def test_model_card_does_not_name_the_folders_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    info = run_info()
    where = "/home/someone/private/corpus"
    info = replace(info, settings={"data.path": where}, command=f"{info.command} data.path={where}")
    write_report(tmp_path, info, [evaluation("test")])
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "private" not in card and "data.path=corpus" in card


def test_model_card_without_scores(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write_report(tmp_path, run_info(), [])
    card = ModelCard((tmp_path / "model" / "README.md").read_text(encoding="utf-8"))
    assert not card.data.to_dict().get("model-index")
    assert "not evaluated on a test split" in card.text


@pytest.mark.parametrize("terminal", [True, False])
def test_terminal(folder: Path, terminal: bool) -> None:
    stream = io.StringIO()
    colors: Any = "standard" if terminal else None
    console = Console(file=stream, force_terminal=terminal, width=100, highlight=False, color_system=colors)
    test = evaluation("test")
    info = replace(run_info(), usage=[("Predict", "python -m rag_lightning.predict run=runs/x " + "text=y " * 30)])
    print_evaluation(test, console)
    print_closing(folder, info, [test], console)
    text = stream.getvalue()
    assert ("\x1b[" in text) is terminal
    for words in (
        "Entities (strict IOB2)",
        "Größe",
        "1,668",
        "0.851",
        "3 words got no prediction",
        "report.md",
    ):
        assert words in text
    assert "0.788" in text
    assert "3 min 12 s" in text
    assert "model/" in text
    assert "checkpoints" not in text
    assert any("text=y " * 29 in line for line in text.splitlines())  # a command stays on one line


def test_history_is_read_in_order_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"step": 2, "epoch": 0.2, "a": null}\n{"step": 1, "epoch": 0.1, "a": 5}\n{"step": 3, "ep')
    rows = read_history(path)
    assert [row["step"] for row in rows] == [1, 2]
    steps, values = series(rows, "a")
    assert steps == [1, 2]
    assert values[0] == 5
    assert values[1] != values[1]
    assert read_history(tmp_path / "none.jsonl") == []
    path.write_text('{"step": 2, "ep\n{"step": 3, "epoch": 1}\n')
    with pytest.raises(ValueError, match=r"history\.jsonl:1"):
        read_history(path)


def test_numbers_as_people_read_them() -> None:
    assert [cell(x) for x in (0.8754, 1668, "PER", float("nan"))] == ["0.875", "1,668", "PER", "–"]
    assert [count(x) for x in (812, 22_713_216, 7_000_000_000)] == ["812", "22.7 M", "7.0 G"]
    times = [duration(x) for x in (0.44, 48.2, 59.6, 192, 7500, float("inf"))]
    assert times == ["0.4 s", "48 s", "1 min 00 s", "3 min 12 s", "2 h 05 min", "?"]
    assert escape("a_b|c\n[d]") == r"a\_b\|c \[d\]"
