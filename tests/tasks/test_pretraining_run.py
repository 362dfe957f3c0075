"""Pretraining from the command to the exported model, and on to the task that takes it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from crashes import Crash, crash_after, fail, weights
from tiny import write_small_data
from tiny_families import tiny_config
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, pipeline

from rag_lightning.encoding import cache
from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.model.pooling import PooledClassifier
from rag_lightning.train import train
from rag_lightning.training import before
from rag_lightning.training.run import RunResult

pytestmark = pytest.mark.usefixtures("no_pictures")
Run = Callable[..., RunResult]
COMMON = ["trainer=cpu", "trainer.enable_progress_bar=false", "logger=none", "trainer.precision=32-true"]


def overrides(model: Path, folder: Path, *more: str) -> list[str]:
    return [
        "task=pretraining", "model=local", f"model.path={model}", "model.name=tiny", f"output_dir={folder}",
        "trainer.max_epochs=1", "optimizer.lr=3e-3", "batching.size=24", *COMMON, *more,
    ]  # fmt: skip


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Run:
    return lambda *more: train(overrides(tiny_model, tmp_path / "runs", *more))


def test_perplexity_before_and_after_and_what_the_run_leaves(run: Run, tmp_path: Path) -> None:
    result = run("trainer.max_epochs=2")
    metrics = result.metrics
    assert metrics["test/before/perplexity"] > 1.2 * metrics["test/perplexity"] > 12
    assert metrics["test/before/bits_per_token"] > metrics["test/bits_per_token"]
    assert result.score == metrics["validation/perplexity"]
    written = json.loads((result.folder / "metrics.json").read_text("utf-8"))
    assert written["metrics"]["test"]["before/perplexity"] == pytest.approx(metrics["test/before/perplexity"])
    report = (result.folder / "report.md").read_text("utf-8")
    assert "Before and after training" in report and "Hardest texts" in report and "data=texts" in report
    rows = [json.loads(line) for line in (result.folder / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 30 and all(row["tokens"] == 0 or row["perplexity"] > 1 for row in rows)

    same = ["trainer=cpu", "trainer.precision=32-true"]
    found = evaluate([f"run={result.folder}", f"output={tmp_path / 'again'}", *same])
    assert found == pytest.approx({k: metrics[k] for k in found}, rel=1e-3) and "test/perplexity" in found

    texts = ["The snail had found it first.", "", "wifi", "A hare went to law about a cabbage. " * 40]
    predictor = Predictor(load_run(str(result.folder)), device="cpu")
    records = [predictor.run.task.read_text(text) for text in texts]
    together, alone = list(predictor.answers(records)), [next(predictor.answers([record])) for record in records]
    for one, other in zip(together, alone, strict=True):
        assert {**one, "text": 0} == pytest.approx({**other, "text": 0}, rel=1e-3)
    assert together[1]["tokens"] == 0 and together[3]["tokens"] > 20
    masks = pipeline("fill-mask", model=str(result.folder / "model"), device="cpu")
    assert len(masks("The [MASK] went to law.")) == 5


@pytest.mark.slow
def test_an_interrupted_run_comes_to_the_same_end_and_keeps_the_scores_before(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = overrides(tiny_model, tmp_path / "runs", "checkpoint.every_steps=2", "batching.size=8")
    expected = train([*settings, f"run.folder={tmp_path}/whole"])
    cut = [*settings, f"run.folder={tmp_path}/cut"]
    with monkeypatch.context() as patch:
        crash_after(patch, 3, fail)
        with pytest.raises(Crash):
            train(cut)
    assert (tmp_path / "cut" / "checkpoints" / before.FILE).is_file()
    monkeypatch.setattr(before, "evaluate_splits", lambda _: pytest.fail("evaluated anew"))
    result = train(cut)
    assert weights(result.folder) == weights(expected.folder)
    assert result.metrics == pytest.approx(expected.metrics)


def test_seeing_the_scores_before_does_not_change_the_training(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = overrides(tiny_model, tmp_path / "runs")
    expected = weights(train([*settings, f"run.folder={tmp_path}/one"]).folder)
    monkeypatch.setattr("rag_lightning.training.run.scores_before", lambda *_: {})
    result = train([*settings, f"run.folder={tmp_path}/other"])
    assert weights(result.folder) == expected and "test/before/perplexity" not in result.metrics


def test_records_that_are_read_one_by_one_change_nothing(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = overrides(tiny_model, tmp_path / "runs")
    expected = train([*settings, f"run.folder={tmp_path}/one"])
    monkeypatch.setattr(cache, "LARGE_FILE", 0)
    result = train([*settings, f"run.folder={tmp_path}/other"])
    assert weights(result.folder) == weights(expected.folder) and result.metrics == pytest.approx(expected.metrics)
    assert (result.folder / "predictions.jsonl").read_bytes() == (expected.folder / "predictions.jsonl").read_bytes()


# --- what takes the result --------------------------------------------------------------------------------------


def taken(folder: Path, tmp_path: Path, *more: str) -> RunResult:
    model = ["model=local", f"model.path={folder / 'model'}", "model.name=adapted", f"output_dir={tmp_path / 'tasks'}"]
    return train([*model, "trainer.max_epochs=1", "optimizer.lr=1e-3", "batching.size=12", *COMMON, *more])


def test_masked_words_then_ner(run: Run, tmp_path: Path) -> None:
    result = run()
    data = write_small_data(tmp_path / "data")
    found = taken(result.folder, tmp_path, "task=ner", "data=conll", f"data.path={data}", "tuning.frozen_layers=all")
    assert 0 <= found.metrics["test/f1"] <= 1
    one, other = (load_run(str(each.folder)).network.state_dict() for each in (result, found))
    backbone = [name for name in one if name.startswith("bert.encoder")]
    assert backbone and all(torch.equal(one[name], other[name]) for name in backbone)


def test_a_sentence_encoder_stays_one_and_its_new_head_is_told(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = shutil.copytree(tiny_model, tmp_path / "encoder")
    AutoModel.from_pretrained(tiny_model).save_pretrained(encoder)
    (encoder / "1_Pooling").mkdir()
    (encoder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    result = train(overrides(encoder, tmp_path / "runs"))
    assert "has no head that guesses words" in capsys.readouterr().out
    assert "its head begins with random weights" in (result.folder / "report.md").read_text("utf-8")
    modes = json.loads((result.folder / "model" / "1_Pooling" / "config.json").read_text("utf-8"))
    assert modes["pooling_mode_mean_tokens"] and not modes["pooling_mode_cls_token"]
    found = taken(result.folder, tmp_path, "task=classification")
    network = load_run(str(found.folder)).network
    assert isinstance(network, PooledClassifier) and network.pooling == "mean"
    capsys.readouterr()
    again = train(overrides(result.folder / "model", tmp_path / "runs"))  # on texts of a domain, then of a task
    assert (again.folder / "model" / "1_Pooling" / "config.json").is_file()
    assert "has no head that guesses words" not in capsys.readouterr().out


@pytest.fixture
def tiny_decoder(tmp_path: Path) -> Path:
    """A random GPT-2 with a byte-level tokenizer."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator([], trainers.BpeTrainer(initial_alphabet=alphabet, special_tokens=["<end>"]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>")
    folder = tmp_path / "decoder"
    tokenizer.save_pretrained(folder)
    ids = {"vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config("gpt2", **ids)).save_pretrained(folder)
    return folder


def test_the_next_word_then_classification(tiny_decoder: Path, tmp_path: Path) -> None:
    result = train(overrides(tiny_decoder, tmp_path / "runs", "data.limit.train=40"))
    assert result.metrics["test/before/perplexity"] > 2 * result.metrics["test/perplexity"]
    text, run = "The hare was done.", load_run(str(result.folder))
    answer = next(Predictor(run, device="cpu").answers([run.task.read_text(text)]))
    network = AutoModelForCausalLM.from_pretrained(result.folder / "model")
    row = AutoTokenizer.from_pretrained(result.folder / "model")(f"{text}<end>", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = torch.exp(network(input_ids=row, labels=row).loss)
    assert answer["tokens"] == row.shape[1] - 1 == len(text)
    assert answer["perplexity"] == pytest.approx(float(expected), rel=1e-3)
    found = taken(result.folder, tmp_path, "task=classification")
    assert 0 <= found.metrics["test/accuracy"] <= 1


# --- with rules, and on the texts of a task ---------------------------------------------------------------------


def test_on_the_words_of_a_task_with_rules(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  capitals: {label: NAME, pattern: '[A-Z][a-z]+'}\n", encoding="utf-8")
    data = ["data=conll", f"data.path={write_small_data(tmp_path / 'data')}"]
    plain, ruled = run(*data), run(*data, f"rules.path={rules}")
    assert "1 rules, hits in 2" in capsys.readouterr().out
    assert weights(plain.folder) != weights(ruled.folder)
    first = "test/before/perplexity"
    assert plain.metrics[first] == ruled.metrics[first]  # asked the same
    load_run(str(ruled.folder))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("template.text='{text} And so on.'", "reads running text as it stands"),
        ("template=cloze", "answered by the name of a label"),
        ("model.pooling=entities", "only task=relation has"),
        ("guidance=self_training", "gives no label that a rule could name"),
        ("data.shots=4", "no labels that could be left out"),
        ("task.objective=causal", "sees the words behind a place too"),
    ],
)
def test_what_does_not_go_together_is_refused(run: Run, wrong: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        run(wrong)
    assert caught.value.remedy
