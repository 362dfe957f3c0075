"""The customer service of experiments/applications on the embedded sample with a tiny model: steps and questions."""

import importlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny_writing import writing_folder

from rag_lightning.errors import UserError
from rag_lightning.generation.options import GenerationOptions
from rag_lightning.inference.drawn import load_writer
from rag_lightning.model.options import ModelConfig

APPLICATION = Path(__file__).parents[2] / "experiments" / "applications" / "customer_service"
OWN = ("run", "desk", "picture")
Service = Callable[..., Any]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(APPLICATION))
    try:
        yield importlib.import_module("run")
    finally:
        sys.path.remove(str(APPLICATION))
        for name in OWN:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def service(script: ModuleType, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The script as called with arguments; the folder of its output. One training each serves all tests."""
    folder = tmp_path_factory.mktemp("service")
    writer = load_writer(
        ModelConfig(name="tiny", path=writing_folder(folder / "writer", "llama", chat=True)),
        GenerationOptions(max_new_tokens=4), system="s",
    )  # fmt: skip
    tiny = ["model=local", f"model.path={tiny_model}", "model.name=tiny", "trainer=cpu", "trainer.max_epochs=1",
            "logger=none", "trainer.precision=32-true", "trainer.enable_progress_bar=false"]  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "load_writer", lambda *_, **__: writer)
        for name in ("plot_curves", "plot_confusion"):
            patch.setattr(f"rag_lightning.report.write.{name}", lambda *_, **__: None)

        def call(*arguments: str) -> Path:
            patch.setattr(sys, "argv", ["run.py", "--output", str(folder), *arguments, "--", *tiny])
            script.main()
            return folder

        call("--questions", "3")
        yield call


def test_every_step_is_measured_for_every_backbone(service: Service) -> None:
    folder = service("--questions", "0")
    results = json.loads((folder / "results.json").read_text("utf-8"))
    assert results["questions"] == {
        "train": 72, "validation": 27, "test": 27, "unseen_past": 24, "unseen": 18, "other": 40,
    }  # fmt: skip
    assert len(results["held_out"]) == 3
    for name, scores in (("pretrained", 1), ("plain", 3), ("balanced", 3)):
        found = results[name]
        assert set(found) == {"intents", "refusal", "answers", "lookup"} and len(found["refusal"]) == scores
        answers = found["answers"]
        assert answers["right"] + answers["wrong"] + answers["refused"] == pytest.approx(1, abs=2e-4)
        recall = found["lookup"]["unseen"]
        assert 0 <= recall["1"] <= recall["5"] <= recall["10"] <= 1
    assert results["balanced"]["answers"]["right"] <= results["balanced"]["intents"]["accuracy"]
    assert (folder / "service.png").stat().st_size > 10_000


def test_held_out_intents_are_not_in_the_training(service: Service) -> None:
    folder = service("--questions", "0")
    held = set(json.loads((folder / "results.json").read_text("utf-8"))["held_out"])
    for split in ("train", "validation", "test"):
        rows = [json.loads(line) for line in (folder / "data" / f"{split}.jsonl").read_text("utf-8").splitlines()]
        assert len({row["label"] for row in rows}) == 9 and not held & {row["label"] for row in rows}


def test_written_answers_are_measured(service: Service) -> None:
    folder = service("--questions", "3")
    results = json.loads((folder / "results.json").read_text("utf-8"))
    for name, further in (("pretrained", set()), ("balanced", {"in_one_message", "without_context"})):
        found = results[name]["written"]
        ways = {key for key, value in found.items() if isinstance(value, dict)}
        assert ways == {"written", "nearest_answer", *further} and found["questions"] == 3
        assert found["nearest_answer"]["grounded"] == 1.0  # it is part of what the model is shown


def test_a_question_is_answered_in_steps(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    service("--refuse", "0", "--score", "nearness", "--ask", "Which card did I use? I want a new PIN.")
    lines = capsys.readouterr().out.splitlines()
    steps = [line.split()[0] for line in lines[-7:]]
    assert steps == ["intent", "answer", "similar", "similar", "similar", "context", "written"]


def test_an_unsure_question_is_refused_and_a_strange_one_passed_on(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("zzz qqq\nWho painted it?\n"))
    service("--refuse", "0.99", "--ask")
    out = capsys.readouterr().out
    assert out.count("answer    none") == 2 and out.count("passed on to a person") == 2


def test_mistakes_are_words(service: Service, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="refuse"):
        service("--refuse", "2", "--questions", "0")
    with pytest.raises(SystemExit, match="banking77"):
        service("--data", str(tmp_path), "--questions", "0")


def test_without_the_writer_the_step_is_left_out_with_a_sentence(
    service: Service, script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise UserError("the package is not installed", where="model.package", remedy="Install it.")

    monkeypatch.setattr(script, "load_writer", missing)
    folder = service("--questions", "3")
    assert "No answers are written" in capsys.readouterr().err
    assert "written" not in json.loads((folder / "results.json").read_text("utf-8"))["balanced"]
