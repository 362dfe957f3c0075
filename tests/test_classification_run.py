"""Text classification from the command to the exported model, natively and with a pooled head."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import sample_overrides
from transformers import AutoModel, pipeline

from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.train import train
from rag_lightning.training.run import RunResult

pytestmark = pytest.mark.usefixtures("no_pictures")
TEXTS = ["Please renew my books.", "Is the hall free on Friday, and what does it cost?", "wifi " * 200, "", "漢字 🙂"]


@pytest.fixture
def texts_run(tiny_model: Path, tmp_path: Path) -> Callable[..., RunResult]:
    """A training of the tiny model on the sample's texts."""

    def run(*more: str) -> RunResult:
        own = ["trainer.max_epochs=2", "batching.size=12"]
        return train(sample_overrides("classification", tiny_model, tmp_path / "runs", *own, *more))

    return run


def test_the_pipeline_of_transformers_gives_the_same(texts_run: Callable[..., RunResult]) -> None:
    result = texts_run("model.pooling=native")
    assert set(result.metrics) >= {"test/accuracy", "test/macro_f1", "test/mcc", "test/loans/f1", "validation/loss"}
    folder = result.folder / "model"
    answers = list(Predictor(load_run(str(result.folder)), device="cpu").answers({"text": text} for text in TEXTS))
    given = pipeline("text-classification", model=str(folder), device="cpu", top_k=None)(
        TEXTS, truncation=True, max_length=64
    )
    for answer, scores in zip(answers, given, strict=True):
        assert answer["label"] == scores[0]["label"]
        assert answer["scores"] == pytest.approx({row["label"]: row["score"] for row in scores}, abs=2e-3)
    assert answers[2]["cut"] > 100 and "cut" not in answers[0]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert 'pipeline("text-classification"' in card and "pipeline does NOT" not in card


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_pooled_run_is_loaded_and_evaluated_as_it_was(
    texts_run: Callable[..., RunResult], tmp_path: Path, pooling: str
) -> None:
    result = texts_run(f"model.pooling={pooling}", "tuning.frozen_layers=1", "tuning.head_lr=1e-2")
    same = ["trainer=cpu", "trainer.precision=32-true"]  # as in training: bf16 may turn a tie between two labels round
    found = evaluate([f"run={result.folder}", f"output={tmp_path / 'again'}", *same])
    assert found == pytest.approx({k: v for k, v in result.metrics.items() if k.startswith("test/")}, abs=1e-3)
    rows = [
        [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
        for folder in (result.folder, tmp_path / "again")
    ]
    for one, other in zip(*rows, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)
    network = load_run(str(result.folder)).network
    assert network.pooling == pooling and network.config.id2label[0] == "collection"
    backbone = AutoModel.from_pretrained(result.folder / "model")
    own = dict(network.base_model.named_parameters())
    assert all(torch.equal(each, own[name]) for name, each in backbone.named_parameters() if name in own)
    card = (result.folder / "model" / "README.md").read_text(encoding="utf-8")
    assert "pipeline does NOT give this model's answers" in card and "pipeline_tag" not in card
    assert "pipeline(" not in (result.folder / "report.md").read_text(encoding="utf-8")
    copy = shutil.copytree(result.folder, tmp_path / "copy")
    (copy / "model" / "pooled_head.safetensors").unlink()
    with pytest.raises(UserError, match="pooled head of this model cannot be read"):
        load_run(str(copy))


def test_evaluation_on_other_texts(texts_run: Callable[..., RunResult], tmp_path: Path) -> None:
    result = texts_run()
    other = tmp_path / "other.csv"
    other.write_text("body,topic\nRenew my loan please,loans\nIs room 3 free?,rooms\n", encoding="utf-8")
    command = [f"run={result.folder}", "data=csv", f"data.path={other}", "data.fields.text=body", "trainer=cpu"]
    found = evaluate([*command, "data.fields.label=topic"])
    assert found["test/accuracy"] in (0.0, 0.5, 1.0)
    with pytest.raises(UserError, match=r"other.csv:2: there is no `label` or `category` for the label"):
        evaluate(command)
    other.write_text("body,topic\nRenew my loan please,loan\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"other.csv:2: .* label 'loan', which the run does .*\{loan: loans, …\}"):
        evaluate([*command, "data.fields.label=topic"])


def test_a_few_shots_know_all_labels(texts_run: Callable[..., RunResult]) -> None:
    result = texts_run("data.shots=4")
    report = (result.folder / "report.md").read_text(encoding="utf-8")
    assert "4 of 150 training examples keep their labels" in report and "unlabelled" in report
    config = json.loads((result.folder / "model" / "config.json").read_text())
    assert len(config["id2label"]) == 6


def test_texts_that_are_cut_are_counted(texts_run: Callable[..., RunResult], tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    rows = [{"text": f"word{i} " * (100 if i % 5 == 0 else 3), "label": "ab"[i % 2]} for i in range(50)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = texts_run("data=jsonl", f"data.path={file}").folder / "report.md"
    assert "train texts are longer than the model's window and are read up to its end only" in report.read_text(
        encoding="utf-8"
    )
