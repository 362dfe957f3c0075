"""Dialogue from the command to the exported model, and talking to it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_writing import writing_folder

from rag_lightning.chat import chat
from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.inference.chatting import without_beams
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.predict import predict
from rag_lightning.train import train
from rag_lightning.training.run import RunResult

pytestmark = pytest.mark.usefixtures("no_pictures")
LIMITS = ["data.limit.train=24", "data.limit.validation=8", "data.limit.test=8"]
KNOWLEDGE = "template.context.path=sample:dialogue/knowledge.jsonl"


@pytest.fixture
def dialogue_run(tmp_path: Path) -> Callable[..., RunResult]:
    """A training of a tiny network on some of the sample's dialogues."""

    def run(model_type: str, *more: str, with_template: bool = False) -> RunResult:
        folder = writing_folder(tmp_path / f"{model_type}-{with_template}", model_type, chat=with_template)
        return train(
            [
                "task=dialogue", "model=local", f"model.path={folder}", "model.name=tiny", "trainer=cpu",
                f"output_dir={tmp_path / 'runs'}", "trainer.max_epochs=1", "trainer.enable_progress_bar=false",
                "logger=none", "optimizer.lr=1e-2", "batching.size=12", "trainer.precision=32-true",
                "generation.max_new_tokens=8", *LIMITS, *more,
            ]
        )  # fmt: skip

    return run


def say(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str, **more: Any) -> int:
    """Lines to a run's conversation, by a pipe."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return chat([f"run={folder}", "device=cpu", *(f"{key}={value}" for key, value in more.items())])


@pytest.mark.parametrize(("model_type", "with_template"), [("gpt2", False), ("llama", True), ("t5", False)])
def test_train_evaluate_predict_and_chat(
    model_type: str,
    with_template: bool,
    dialogue_run: Callable[..., RunResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = dialogue_run(model_type, with_template=with_template)
    expected = {f"test/{name}" for name in ("perplexity", "bleu", "distinct-1", "distinct-2", "recall@1", "mrr")}
    assert expected <= set(result.metrics) and "validation/recall@1" not in result.metrics
    rows = [json.loads(line) for line in (result.folder / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert all(len(row["candidates"]) == 10 and row["chosen"] in row["candidates"] for row in rows)
    again = evaluate([f"run={result.folder}", f"output={tmp_path / 'again'}", "trainer=cpu",
                      "trainer.precision=32-true"])  # fmt: skip
    assert again["test/perplexity"] == pytest.approx(result.metrics["test/perplexity"], rel=1e-3)
    assert again["test/recall@1"] == result.metrics["test/recall@1"]

    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"id": "a", "text": "Are you open?"}\n', encoding="utf-8")
    predict([f"run={result.folder}", f"input={asked}", f"output={tmp_path / 'out.jsonl'}", "device=cpu"])
    first = json.loads((tmp_path / "out.jsonl").read_text("utf-8"))
    assert first["id"] == "a" and first["text"] == "Are you open?"
    capsys.readouterr()
    assert say(monkeypatch, result.folder, "Are you open?", "And on Sundays?", "/reset", "Are you open?") == 3
    answers = capsys.readouterr().out.splitlines()
    assert answers[0] == answers[2] == first["reply"].replace("\n", " ")

    turns = ["Are you open?", first["reply"], "And on Sundays?"]
    predictor = Predictor(load_run(str(result.folder)), device="cpu")
    assert predictor.run.task.read_fields is not None
    (second,) = predictor.answers([predictor.run.task.read_fields({"turns": turns}, "")])
    assert answers[1] == second["reply"].replace("\n", " "), "what was said before is read"


def test_what_was_looked_up_is_shown(
    dialogue_run: Callable[..., RunResult], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = dialogue_run("llama", "template=dialogue_context", KNOWLEDGE, "template.context.most=1",
                          "model.max_length=128", with_template=True)  # fmt: skip
    capsys.readouterr()
    say(monkeypatch, result.folder, "Where can I park my car?", "/context", context="true")
    told = capsys.readouterr().err
    assert told.count("Parking: Six free customer spaces") == 2


def test_a_run_without_knowledge_says_so(
    dialogue_run: Callable[..., RunResult], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = dialogue_run("gpt2", "task.selection.among=0", "generation=beams", "generation.num_beams=2")
    assert "test/recall@1" not in result.metrics
    capsys.readouterr()
    assert say(monkeypatch, result.folder, "Hello", "/context", "/quit", "no more") == 1
    caught = capsys.readouterr()
    assert "looks nothing up" in caught.err and "here it writes greedily" in caught.err
    assert len(caught.out.splitlines()) == 1
    with pytest.raises(UserError, match=r"generation\.num_beams: with beams a text is known at its end only"):
        say(monkeypatch, result.folder, "Hello", generation="beams")


def test_a_run_of_another_task_is_refused_before_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text("task: {name: ner}\n", encoding="utf-8")
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"this is a run of task=ner, and only runs of task=dialogue"):
        say(monkeypatch, tmp_path, "Hello")
    with pytest.raises(UserError, match="not a run's folder"):
        say(monkeypatch, tmp_path / "none", "Hello")


def test_beams_become_greedy_and_nothing_else_changes() -> None:
    told: list[str] = []
    beams = GenerationOptions(num_beams=3, length_penalty=2.0, early_stopping=True, max_new_tokens=9)
    assert without_beams(beams, told.append) == GenerationOptions(max_new_tokens=9) and len(told) == 1
    drawn = GenerationOptions(do_sample=True, temperature=0.5)
    assert without_beams(drawn, told.append) == drawn and len(told) == 1
