"""Question answering from the command to the exported model: silence that is kept, other data, resume, prediction."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Command
from crashes import Crash, crash_after, fail, weights
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from rag_lightning.decoding.answers import THRESHOLD
from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.train import train

pytestmark = pytest.mark.usefixtures("no_pictures")
FACTS = [("Ada", "London", "1815"), ("Bob", "Oslo", "1902"), ("Eve", "Rome", "1954"), ("Max", "Bern", "1837")]


def paragraph(copy: int, name: str, place: str, year: str, *, silent: bool) -> dict[str, Any]:
    context = f"{name} came to {place} in {year}."
    known = [("Where did they go?", place), ("When did it happen?", year)]
    unknown = [("Who paid for the voyage?", None)] if silent else []
    return {
        "context": context,
        "qas": [
            {
                "id": f"{name}-{copy}-{number}",
                "question": asked,
                "answers": [] if answer is None else [{"text": answer, "answer_start": context.index(answer)}],
                "is_impossible": answer is None,
            }
            for number, (asked, answer) in enumerate([*known, *unknown])
        ],
    }


def write_squad(folder: Path, *, silent: bool = True) -> Path:
    """The same facts to train, validate and test on: a model that learnt them answers sure of itself."""
    folder.mkdir(parents=True)
    for split, times in (("train", 4), ("validation", 1), ("test", 1)):
        data = [
            {"title": f"{split} {n}", "paragraphs": [paragraph(n, *fact, silent=silent) for fact in FACTS]}
            for n in range(times)
        ]
        (folder / f"{split}.json").write_text(json.dumps({"version": "v2.0", "data": data}), encoding="utf-8")
    return folder


def overrides(model: Path, data: Path, output: Path, *more: str) -> list[str]:
    return [
        "task=qa", "model=local", f"model.path={model}", "model.name=tiny", "data=squad", f"data.path={data}",
        "data.files={train: train.json, validation: validation.json, test: test.json}", f"output_dir={output}",
        "trainer=cpu", "trainer.enable_progress_bar=false", "logger=none", "optimizer.lr=5e-3", "batching.size=6",
        "trainer.precision=32-true", "model.dropout=0", "model.attn_dropout=0", "scheduler.warmup=0", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt the facts, and where they are silent."""
    root = tmp_path_factory.mktemp("qa")
    data = write_squad(root / "data")
    return train(
        overrides(tiny_model, data, root / "runs", "trainer.max_epochs=30", "trainer.check_val_every_n_epoch=30")
    ).folder


@pytest.fixture
def short_run(tiny_model: Path, tmp_path: Path) -> Callable[..., list[str]]:
    data = write_squad(tmp_path / "data")

    def run(*more: str) -> list[str]:
        return overrides(tiny_model, data, tmp_path / "runs", "trainer.max_epochs=1", *more)

    return run


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_the_threshold_of_validation_is_saved_and_used_everywhere(finished: Path, tmp_path: Path) -> None:
    scores = (finished / "metrics.json").read_text()
    assert all(f'"{name}"' in scores for name in ("exact_match", "HasAns/f1", "NoAns/exact_match")), scores
    run = load_run(str(finished))
    threshold = getattr(run.network.config, THRESHOLD)
    assert isinstance(threshold, float)
    assert json.loads((finished / "model" / "config.json").read_text())[THRESHOLD] == threshold
    rows = read_lines(finished / "predictions.jsonl")
    assert {row["predicted"] for row in rows} >= {"London", ""}
    clear = [row for row in rows if abs(row["difference"] - threshold) > 1e-3]  # it is rounded in the file
    assert len(clear) > len(rows) / 2
    assert [row["predicted"] == "" for row in clear] == [row["difference"] > threshold for row in clear]
    records = [{"id": row["id"], "question": row["question"], "text": row["text"]} for row in rows]
    answers = list(Predictor(run, device="cpu").answers(records))
    assert [(each["id"], each["answer"]) for each in answers] == [(row["id"], row["predicted"]) for row in rows]
    for each, row in zip(answers, rows, strict=True):
        assert each["confidence"] == pytest.approx(row["confidence"], abs=2e-3)
        assert each["start"] == row["start"]
        if each["answer"]:
            assert row["text"][each["start"] : each["end"]] == each["answer"]


def test_evaluation_again_and_on_other_data(finished: Path, tmp_path: Path) -> None:
    same = ["trainer=cpu", "trainer.precision=32-true"]
    again = evaluate([f"run={finished}", f"output={tmp_path / 'again'}", *same])
    rows = read_lines(finished / "predictions.jsonl")
    assert again["test/f1"] == pytest.approx(sum(row["f1"] for row in rows) / len(rows), abs=1e-3)
    assert [r["predicted"] for r in read_lines(tmp_path / "again" / "predictions.jsonl")] == [
        row["predicted"] for row in rows
    ]
    other = tmp_path / "other.jsonl"
    other.write_text(
        '{"question": "Where did Ada live?", "context": "Ada lived in London.", "answers": ["London"]}\n'
        '{"question": "Who is it?", "context": "It rained.", "answers": []}\n',
        encoding="utf-8",
    )
    threshold = getattr(load_run(str(finished)).network.config, THRESHOLD)
    found = evaluate(
        [f"run={finished}", "data=jsonl", f"data.path={other}", "split=validation", f"output={tmp_path / 'o'}", *same]
    )
    assert {"validation/HasAns/f1", "validation/NoAns/f1"} <= set(found)
    rows = read_lines(tmp_path / "o" / "predictions.jsonl")
    # Other data are judged by the threshold of training, even under the name of validation.
    clear = [row for row in rows if abs(row["difference"] - threshold) > 1e-3]  # it is rounded in the file
    assert len(clear) > len(rows) / 2
    assert [row["predicted"] == "" for row in clear] == [row["difference"] > threshold for row in clear]
    report = (tmp_path / "o" / "report.md").read_text(encoding="utf-8")
    assert f"exceeds {threshold:.3f}" in report and "never an answer" in report


def test_plain_transformers_gives_the_same_answers(finished: Path) -> None:
    """The three lines of the documentation."""
    model = AutoModelForQuestionAnswering.from_pretrained(finished / "model")
    tokenizer = AutoTokenizer.from_pretrained(finished / "model")
    for row in read_lines(finished / "predictions.jsonl"):
        inputs = tokenizer(row["question"], row["text"], return_tensors="pt", return_offsets_mapping=True)
        places = inputs.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            output = model(**inputs)
        context = torch.tensor([part == 1 for part in inputs.sequence_ids()])
        start = output.start_logits[0].masked_fill(~context, -torch.inf)
        end = output.end_logits[0].masked_fill(~context, -torch.inf)
        scores = (start[:, None] + end[None, :]).masked_fill(torch.ones(len(end), len(end)).tril(-1) > 0, -torch.inf)
        first, last = divmod(int(scores.argmax()), len(end))
        assert row["text"][places[first][0] : places[last][1]] == row["n_best"][0]["answer"]


def test_without_silent_questions_every_question_is_answered(tiny_model: Path, tmp_path: Path) -> None:
    data = write_squad(tmp_path / "data", silent=False)
    result = train(overrides(tiny_model, data, tmp_path / "runs", "trainer.max_epochs=1"))
    assert "test/HasAns/f1" not in result.metrics
    run = load_run(str(result.folder))
    assert getattr(run.network.config, THRESHOLD) is None
    found = next(Predictor(run, device="cpu").answers([{"question": "Who?", "text": "It rained."}]))
    assert found["answer"] and "no_answer" not in found


@pytest.mark.parametrize(("setting", "kept"), [("false", False), ("true", True)])
def test_silence_may_be_forbidden_or_wanted(
    setting: str, kept: bool, tiny_model: Path, tmp_path: Path, short_run: Callable[..., list[str]]
) -> None:
    result = train(short_run(f"task.no_answer={setting}", "task.n_best=2"))
    config = load_run(str(result.folder)).network.config
    assert (getattr(config, THRESHOLD) is not None) == kept
    rows = read_lines(result.folder / "predictions.jsonl")
    assert kept or all(row["predicted"] for row in rows)
    assert all(len(row["n_best"]) <= 2 for row in rows)


def test_a_crash_changes_nothing(
    short_run: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = ("checkpoint.every_steps=2", "model.dropout=0.1")
    whole = train(short_run(*often, f"run.folder={tmp_path}/whole"))
    with monkeypatch.context() as patch:
        crash_after(patch, 5, fail)
        with pytest.raises(Crash):
            train(short_run(*often, f"run.folder={tmp_path}/cut"))
    cut = train(short_run(*often, f"run.folder={tmp_path}/cut"))
    assert weights(cut.folder) == weights(whole.folder)
    assert cut.metrics == whole.metrics


def test_rules_and_templates_take_part_in_the_text(short_run: Callable[..., list[str]], tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "lexicons: {towns: [London, Oslo]}\nrules:\n  places: {lexicon: towns, label: PLACE}\n",
        encoding="utf-8",
    )
    given = ["rules=none", f"rules.path={rules}", "template=hints"]
    result = train(short_run(*given))
    answers = Predictor(load_run(str(result.folder)), device="cpu").answers(
        [{"question": "Where?", "text": "Ada lived in London."}]
    )
    assert set(next(answers)) >= {"answer", "n_best"}
    with pytest.raises(UserError, match="gives no label that a rule could name"):
        train(short_run(*given, "guidance.features.enabled=true"))
    with pytest.raises(UserError, match="must be shown once"):
        train(short_run("template.text='{question} {sep}'"))


def test_prediction_from_the_command_line(finished: Path, tmp_path: Path, run: Command) -> None:
    command = ("predict", f"run={finished}", "device=cpu")
    line = run(*command, 'text="Where did they go? ||| Ada came to London in 1815."')
    assert line.code == 0
    assert json.loads(line.out)["question"] == "Where did they go?"
    quoted = r'text="{\"question\": \"Where did they go?\", \"context\": \"Ada came to London in 1815.\"}"'
    assert json.loads(run(*command, quoted).out) == json.loads(line.out)
    file = tmp_path / "asked.jsonl"
    file.write_text('{"id": 7, "question": "Where did they go?", "context": "Ada came to London in 1815."}\n', "utf-8")
    assert json.loads(run(*command, f"input={file}").out) == {"id": 7, **json.loads(line.out)}
    file.write_text('{"question": "Where?", "context": "Here."}\n{"id": 7, "question": "Where?"}\n', "utf-8")
    refused = run(*command, f"input={file}")
    assert refused.code == 2 and "asked.jsonl:2" in refused.err and "an input needs a context" in refused.err
    refused = run(*command, "text='Ada lived in London.'")
    assert refused.code == 2 and "a question and the text that answers it are needed" in refused.err
