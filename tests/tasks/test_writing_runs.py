"""Translation and summarization from the command to the exported model, with networks of every kind that write."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashes import Crash, crash_after, fail, weights
from tiny_writing import writing_folder

from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.predict import predict
from rag_lightning.train import train
from rag_lightning.training.run import RunResult

pytestmark = pytest.mark.usefixtures("no_pictures")
Run = Callable[..., RunResult]


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., list[str]]:
    """Overrides of a training of two epochs on a few of the sample's examples."""

    def overrides(task: str, model: Path, *more: str) -> list[str]:
        return [
            f"task={task}", "model=local", f"model.path={model}", "model.name=tiny", "trainer=cpu",
            f"output_dir={tmp_path / 'runs'}", "trainer.max_epochs=2", "trainer.enable_progress_bar=false",
            "logger=none", "optimizer.lr=3e-3", "batching.size=6", "trainer.precision=32-true", "tuning=full",
            "tuning.frozen_layers=0", "generation.max_new_tokens=8", "data.limit.train=18", "data.limit.validation=5",
            "data.limit.test=7", *more,
        ]  # fmt: skip

    return overrides


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["translation", "summarization"])
@pytest.mark.parametrize(
    ("model_type", "chat"), [("gpt2", False), ("llama", True), ("t5", False), ("bart", False), ("mt5", False)]
)
def test_a_run_is_loaded_evaluated_and_applied_as_it_was(
    task: str, model_type: str, chat: bool, command: Callable[..., list[str]], tmp_path: Path
) -> None:
    model = writing_folder(tmp_path / "model", model_type, chat=chat)
    result = train(command(task, model))
    headline = {"translation": "chrf", "summarization": "rougeL"}[task]
    assert result.headline == headline and {f"test/{headline}", "test/perplexity"} <= set(result.metrics)
    again = evaluate(
        [f"run={result.folder}", f"output={tmp_path / 'again'}", "trainer=cpu", "trainer.precision=32-true"]
    )
    assert again == pytest.approx({k: v for k, v in result.metrics.items() if k in again}, abs=1e-3)
    rows, repeated = _rows(result.folder / "predictions.jsonl"), _rows(tmp_path / "again" / "predictions.jsonl")
    assert [row["predicted"] for row in rows] == [row["predicted"] for row in repeated] and len(rows) == 7
    run = load_run(str(result.folder))
    answers = list(Predictor(run, tokens=200, device="cpu").answers(run.task.read_text(row["text"]) for row in rows))
    key = {"translation": "translation", "summarization": "summary"}[task]
    assert [answer[key] for answer in answers] == [row["predicted"] for row in rows]
    report = (result.folder / "report.md").read_text(encoding="utf-8")
    assert "Samples" in report and rows[0]["gold"][0] in report


def test_a_finished_run_writes_in_another_way(command: Callable[..., list[str]], tmp_path: Path) -> None:
    folder = train(command("translation", writing_folder(tmp_path / "model", "gpt2"))).folder
    shorter = ["generation=beams", "generation.num_beams=3", "generation.max_new_tokens=2"]
    evaluate([f"run={folder}", "trainer=cpu", *shorter])
    own, other = (
        folder / "predictions.jsonl",
        folder / "evaluation-translation_sample-test-max_new_tokens_2-num_beams_3",
    )
    lengths = [[len(row["predicted"]) for row in _rows(file)] for file in (own, other / "predictions.jsonl")]
    assert sum(lengths[1]) < sum(lengths[0])
    assert "generation=greedy generation.max_new_tokens=2 generation.num_beams=3" in (other / "report.md").read_text()
    written = []
    for number, words in enumerate((["generation=greedy", "generation.max_new_tokens=8"], shorter)):
        predict([f"run={folder}", "text=A dog runs.", f"output={tmp_path / str(number)}", "device=cpu", *words])
        written.append(_rows(tmp_path / str(number))[0]["translation"])
    assert len(written[1]) < len(written[0])


def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    command: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = writing_folder(tmp_path / "model", "gpt2")
    words = command("translation", model, "checkpoint.every_steps=1")
    with monkeypatch.context() as patch:
        crash_after(patch, 4, fail)
        with pytest.raises(Crash):
            train(words)
    resumed = train(words)
    whole = train([*words, f"output_dir={tmp_path / 'whole'}"])
    assert weights(resumed.folder) == weights(whole.folder) and resumed.metrics == whole.metrics


def test_predict_reads_text_and_json_lines(command: Callable[..., list[str]], tmp_path: Path) -> None:
    model = writing_folder(tmp_path / "model", "gpt2")
    run = train(command("translation", model)).folder
    lines = tmp_path / "in.jsonl"
    lines.write_text('{"id": "a", "text": "No."}\n{"text": "No.", "target_language": "French"}\n', encoding="utf-8")
    predict([f"run={run}", f"input={lines}", f"output={tmp_path / 'out.jsonl'}", "device=cpu"])
    first, second = _rows(tmp_path / "out.jsonl")
    assert first["id"] == "a" and first["text"] == "No." and isinstance(first["translation"], str)
    predict([f"run={run}", "text=No.", f"output={tmp_path / 'one.jsonl'}", "device=cpu"])
    (alone,) = _rows(tmp_path / "one.jsonl")
    assert alone["translation"] == first["translation"] and set(second) >= {"text", "translation"}
    lines.write_text('{"source": "No."}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"in\.jsonl:1: an input needs a text"):
        predict([f"run={run}", f"input={lines}", f"output={tmp_path / 'out.jsonl'}", "device=cpu"])


def test_other_data_with_several_references(command: Callable[..., list[str]], tmp_path: Path) -> None:
    model = writing_folder(tmp_path / "model", "t5")
    run = train(command("summarization", model)).folder
    other = tmp_path / "other.jsonl"
    rows = [{"text": "Long. Text.", "target": ["Long.", "Text."]}, {"text": "One. Two. Three.", "target": "Two."}]
    other.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = evaluate([f"run={run}", "data=jsonl", f"data.path={other}", "trainer=cpu"])
    assert found["test/lead/rouge1"] == pytest.approx(0.5)  # the first sentence is the first reference, and not Two.


def test_beams_are_part_of_a_run_and_write_otherwise(command: Callable[..., list[str]], tmp_path: Path) -> None:
    model = writing_folder(tmp_path / "model", "bart")
    greedy = train(command("translation", model))
    beams = train(command("translation", model, "generation=beams", "generation.num_beams=3"))
    assert greedy.folder != beams.folder
    assert greedy.metrics["test/loss"] == pytest.approx(beams.metrics["test/loss"])
    likelier = [_rows(result.folder / "predictions.jsonl") for result in (greedy, beams)]
    assert [row["predicted"] for row in likelier[0]] != [row["predicted"] for row in likelier[1]]


def test_what_cannot_work_is_refused_in_words(
    command: Callable[..., list[str]], tmp_path: Path, tiny_model: Path
) -> None:
    with pytest.raises(UserError, match=r"type 'bert' has no head for writing text.*GPT-2.*T5"):
        train(command("translation", tiny_model))
    model = writing_folder(tmp_path / "model", "t5")
    for words, told in [
        ("task.chat=true", r"task\.chat: a model of type 't5' reads a source"),
        ("task.tokenize=words", r"task\.tokenize: there is no tokenizer 'words'"),
        ("task.glossary=nowhere.csv", r"task\.glossary=nowhere\.csv: the file of the glossary does not exist"),
        ('template.text="{text} {target}"', "would show the model the answer"),
    ]:
        with pytest.raises(UserError, match=told):
            train(command("translation", model, words))
    model = writing_folder(tmp_path / "causal", "gpt2")
    with pytest.raises(UserError, match=r"generation\.max_new_tokens: max_new_tokens=125 leaves 3 of the window's 128"):
        train(command("translation", model, "generation.max_new_tokens=125"))


def test_examples_and_hints_take_part_in_the_prompt(command: Callable[..., list[str]], tmp_path: Path) -> None:
    model = writing_folder(tmp_path / "model", "llama")
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  door: {pattern: door, label: Tuer}\n", encoding="utf-8")
    result = train(
        command(
            "translation", model, "template=none", f"rules.path={rules}", "trainer.max_epochs=1",
            'template.text="{hints} {examples} {source_language}: {text} {target_language}:"',
            "template.demonstrations.k=1",
        )
    )  # fmt: skip
    run = load_run(str(result.folder))
    segments = run.rendering.render((), ())(
        {**run.task.read_text("The door."), "hits": [[4, 8, "Tuer", "door", 0, False]]}
    )
    shown = " ".join(word for segment in segments for word in segment.words)
    assert shown.startswith("door: Tuer") and " = " in shown and shown.endswith("English : The door. German :")


def test_a_glossary_is_part_of_a_run_and_goes_with_it(command: Callable[..., list[str]], tmp_path: Path) -> None:
    model = writing_folder(tmp_path / "model", "llama")
    file = tmp_path / "words.csv"
    file.write_text("source,target\ntable,Tisch\n", encoding="utf-8")
    words = command("translation", model, "trainer.max_epochs=1", f"task.glossary={file}")
    first = train(words)
    assert train(words).already_done
    file.write_text("source,target\ntable,Tafel\n", encoding="utf-8")
    assert train(words).folder != first.folder
    file.unlink()  # the model must not need it any more
    run = load_run(str(first.folder))
    record = run.task.read_text("Set the table.")
    assert record["glossary"] == "Use table = Tisch."
    shown = " ".join(word for segment in run.rendering.render((), ())(record) for word in segment.words)
    assert shown == "Use table = Tisch. Translate into German : Set the table."
