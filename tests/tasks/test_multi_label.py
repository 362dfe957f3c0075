"""Any number of labels for a text, names with levels, and what classes weigh."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import sample_overrides

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.tasks.classification import TASK, ClassificationOptions
from rag_lightning.tasks.label_scores import at_level, evaluate_labels, upper_levels
from rag_lightning.tasks.label_sets import labels_of, weighted
from rag_lightning.tasks.multi_label_scores import evaluate_label_sets
from rag_lightning.tasks.outputs.class_weights import with_class_weights
from rag_lightning.tasks.outputs.multi_label import MULTI_LABEL, multi_label
from rag_lightning.tasks.outputs.sequence_label import SEQUENCE_LABEL
from rag_lightning.train import train
from rag_lightning.training.run import RunResult

LABELS = ("council/schools", "council/taxes", "nature/parks")


def text(name: str, *labels: str) -> Record:
    return {"id": name, "source": f"{name}:1", "text": name, "labels": list(labels)}


def prepare(records: list[Record], **options: Any) -> Any:
    return TASK.prepare({"train": records}, ClassificationOptions(**options))


def fitted(**options: Any) -> Any:
    return TASK.fit(TASK, ClassificationOptions(**options), "bert")


# --- records -----------------------------------------------------------------------------------------------------


def test_labels_are_those_of_all_lists() -> None:
    prepared = prepare([text("one", "b", "a"), text("two"), text("three", "b")])
    assert prepared.labels == ("a", "b") and prepared.notes == []
    assert prepare([text("one", "a")]).labels == ("a",)
    with pytest.raises(UserError, match="train data have the label 'c', which task.labels does not have"):
        prepare([text("one", "a", "c")], labels=["a", "b"])
    with pytest.raises(UserError, match="there is no label of the training data.*data.fields.labels"):
        prepare([text("one")])


def test_the_data_say_which_task_it_is() -> None:
    several, one = fitted(answer="labels"), fitted(answer="label")
    assert (several.output.name, several.headline, several.reading.labels) == ("multi_label", "micro_f1", ("labels",))
    assert (one.output.name, one.headline, one.reading.labels) == ("sequence_label", "accuracy", ("label",))
    assert several.output.head == "sequence_label" and not several.of_named_labels


# --- weights -----------------------------------------------------------------------------------------------------


def weights(records: list[Record], how: Any) -> list[float]:
    labels = sorted({label for record in records for label in labels_of(record)})
    return [record["weight"] for record in weighted({"train": records}, labels, how)["train"]]


def test_balanced_classes_weigh_the_same_in_sum() -> None:
    records = [{"text": "x", "label": label} for label in "aaab"]
    assert weights(records, "balanced") == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])
    assert weights(records, {"b": 3}) == [1.0, 1.0, 1.0, 3.0]
    several = [text("1", "a"), text("2", "a", "b"), text("3")]
    assert weights(several, "balanced") == pytest.approx([0.75, (0.75 + 1.5) / 2, 1.0])
    assert weighted({"test": records}, ["a", "b"], "balanced")["test"] is records
    with pytest.raises(UserError, match="there is no label 'bb'"):
        weights(records, {"bb": 2.0})
    with pytest.raises(UserError, match="the weight of 'b' is 0"):
        weights(records, {"b": 0})


def test_a_weight_multiplies_the_loss_of_its_row() -> None:
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    one_by_one = F.cross_entropy(logits, labels, reduction="none")
    kind = with_class_weights(SEQUENCE_LABEL)
    batch = {"labels": labels, "class_weight": torch.tensor([1.0, 3.0])}
    assert torch.allclose(kind.loss(logits, batch), one_by_one[0] + 3 * one_by_one[1])
    weak = {**batch, "weight": torch.tensor([0.5, 1.0])}
    assert torch.allclose(kind.loss(logits, weak), 0.5 * one_by_one[0] + 3 * one_by_one[1])


# --- output ------------------------------------------------------------------------------------------------------


def test_each_label_is_a_yes_or_no_of_its_own() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.1], [0.0, 0.0, 0.0]])
    batch = {"labels": torch.tensor([[1, 0, 0], [-100, -100, -100]])}
    expected = F.binary_cross_entropy_with_logits(logits[0], torch.tensor([1.0, 0.0, 0.0]))
    assert torch.allclose(MULTI_LABEL.loss(logits, batch), expected)
    assert torch.allclose(MULTI_LABEL.loss(logits, {**batch, "weight": torch.tensor([0.5, 1.0])}), expected / 2)
    decoded = [MULTI_LABEL.decode(logits, {"example": torch.tensor([1, 0]), "cut": torch.tensor([0, 4])})]
    records = [text("a"), text("b")]
    assert multi_label(0.5).assemble(records, decoded, LABELS)[1]["labels"] == [LABELS[0], LABELS[2]]
    strict = multi_label(0.6).assemble(records, decoded, LABELS)
    assert [answer["labels"] for answer in strict] == [[], [LABELS[0]]]
    assert list(strict[1]["scores"]) == [LABELS[0], LABELS[2], LABELS[1]] and strict[0]["cut"] == 4


# --- evaluation --------------------------------------------------------------------------------------------------


def answer(*labels: str, **scores: float) -> dict[str, Any]:
    return {"labels": list(labels), "scores": dict.fromkeys(labels, 0.9) | scores, "cut": 0}


def test_sets_of_labels() -> None:
    gold = [text("one", LABELS[0], LABELS[1]), text("two", LABELS[2]), text("three")]
    predictions = [answer(LABELS[0]), answer(LABELS[2]), answer(LABELS[1])]
    found = evaluate_label_sets("test", gold, predictions, LABELS)
    # right 2, predicted 3, there 3
    assert found.metrics["micro_f1"] == pytest.approx(2 / 3)
    assert found.metrics["macro_f1"] == pytest.approx(2 / 3)  # 1, 0, 1
    assert found.metrics["subset_accuracy"] == pytest.approx(1 / 3)
    assert found.metrics["hamming_loss"] == pytest.approx(2 / 9)
    assert found.metrics[f"{LABELS[1]}/f1"] == 0.0 and "micro avg/f1" not in found.metrics
    # on the first level: {council} right, {nature} right, and council where nothing is
    assert found.metrics["level1/micro_f1"] == pytest.approx(0.8)
    assert found.metrics["level1/subset_accuracy"] == pytest.approx(2 / 3)
    assert [table.title for table in found.tables] == ["Classes", "Levels", "Baseline"]
    assert [(m["gold"], m["predicted"]) for m in found.mistakes] == [
        ("council/schools, council/taxes", "council/schools (0.90)"), ("–", "council/taxes (0.90)"),
    ]  # fmt: skip


def test_no_label_at_all_is_scored_too() -> None:
    found = evaluate_label_sets("test", [text("one")], [answer()], LABELS)
    assert found.metrics["micro_f1"] == 0.0 and found.metrics["subset_accuracy"] == 1.0


def test_levels_of_names() -> None:
    assert upper_levels(LABELS) == [1] and upper_levels(("a/b/c", "a/b/d", "a/e")) == [1, 2]
    assert upper_levels(("Sci/Tech", "Sports")) == upper_levels(("a", "b")) == []
    assert at_level("a/b/c", 2) == "a/b" and at_level("a", 2) == "a"
    records = [{"id": "1", "text": "x", "label": LABELS[0]}, {"id": "2", "text": "y", "label": LABELS[2]}]
    given = [{"label": label, "confidence": 0.5, "scores": {label: 0.5}, "cut": 0} for label in (LABELS[1], LABELS[2])]
    found = evaluate_labels("test", records, given, LABELS)
    assert found.metrics["accuracy"] == 0.5 and found.metrics["level1/accuracy"] == 1.0
    table = next(table for table in found.tables if table.title == "Levels")
    assert table.rows[0] == ("level 1", 2, 1.0, 1.0) and table.rows[1][:3] == ("whole name", 3, 0.5)


# --- runs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def texts_run(tiny_model: Path, tmp_path: Path, no_pictures: None) -> Callable[..., RunResult]:
    def run(*more: str) -> RunResult:
        own = ["trainer.max_epochs=2", "batching.size=12"]
        return train(sample_overrides("classification", tiny_model, tmp_path / "runs", *own, *more))

    return run


@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_a_run_with_several_labels(pooling: str, texts_run: Callable[..., RunResult], tmp_path: Path) -> None:
    result = texts_run("data=multilabel_sample", f"model.pooling={pooling}", "task.threshold=0.3")
    assert result.headline == "micro_f1"
    found = evaluate([
        f"run={result.folder}", f"output={tmp_path / 'again'}", "trainer=cpu", "trainer.precision=32-true",
    ])  # fmt: skip
    assert found == pytest.approx({k: v for k, v in result.metrics.items() if k.startswith("test/")}, abs=1e-3)
    config = json.loads((result.folder / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == "multi_label_classification"
    texts = ["Counter four will help with rebate forms.", "The young maples need two buckets."]
    answers = list(Predictor(load_run(str(result.folder)), device="cpu").answers({"text": each} for each in texts))
    for given in answers:
        assert given["labels"] == [label for label, score in given["scores"].items() if score >= 0.3]
    if pooling == "native":
        from transformers import pipeline

        model = pipeline("text-classification", model=str(result.folder / "model"), device="cpu", top_k=None)
        for given, scores in zip(answers, model(texts), strict=True):
            assert given["scores"] == pytest.approx({row["label"]: row["score"] for row in scores}, abs=2e-3)


@pytest.mark.parametrize("data", ["multilabel_sample", "classification_sample"])
@pytest.mark.parametrize("how", ["balanced", "named"])
def test_weights_of_classes_change_what_is_learnt(data: str, how: str, texts_run: Callable[..., RunResult]) -> None:
    named = "nature/parks" if data == "multilabel_sample" else "loans"
    more = "task.class_weights=balanced" if how == "balanced" else f"task.class_weights={{{named}: 4}}"
    few = [f"data={data}", "data.limit.train=50", "trainer.max_epochs=1"]
    plain, changed = texts_run(*few), texts_run(*few, more)
    assert plain.metrics["test/loss"] != changed.metrics["test/loss"]
    assert load_run(str(changed.folder)).options.class_weights == ("balanced" if how == "balanced" else {named: 4})


def test_a_file_of_ones_own_tells_by_its_first_row(texts_run: Callable[..., RunResult], tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    rows = [{"text": f"word{i % 7} and {i}", "labels": ["a", "b"][: i % 3]} for i in range(60)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = texts_run("data=jsonl", f"data.path={file}")
    assert result.headline == "micro_f1"
    assert load_run(str(result.folder)).options.answer == "labels"
    with pytest.raises(UserError, match="{mask} is answered by the name of a label"):
        texts_run("data=jsonl", f"data.path={file}", "template=cloze")
    with pytest.raises(UserError, match="rules take part in the text alone"):
        texts_run("data=jsonl", f"data.path={file}", "guidance.semantics=true")
