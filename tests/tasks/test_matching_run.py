"""Pairs of texts from the command to the exported model: every way to read and to answer them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from crashes import Crash, crash_after, fail, weights
from tiny import sample_overrides

from rag_lightning.errors import UserError
from rag_lightning.evaluate import evaluate
from rag_lightning.inference.predicting import Predictor
from rag_lightning.inference.saved import load_run
from rag_lightning.train import train
from rag_lightning.training.run import RunResult

pytestmark = pytest.mark.usefixtures("no_pictures")
Train = Callable[..., RunResult]
WAYS = {
    "cross label": ["task.answer=label"],
    "cross score": ["task.answer=score"],
    "bi softmax": ["task.answer=label", "task.encoder=bi"],
    "bi cosent": ["task.answer=score", "task.encoder=bi"],
    "bi cosine": ["task.answer=score", "task.encoder=bi", "task.loss=cosine"],
}
HEADLINES = {"label": "accuracy", "score": "spearman"}


@pytest.fixture
def pairs_run(tiny_model: Path, tmp_path: Path) -> Train:
    """A training of the tiny model on the sample's pairs."""

    def run(*more: str) -> RunResult:
        own = ["trainer.max_epochs=1", "batching.size=16"]
        return train(sample_overrides("matching", tiny_model, tmp_path / "runs", *own, *more))

    return run


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_trains_and_is_the_same_once_loaded(way: str, pairs_run: Train, tmp_path: Path) -> None:
    result = pairs_run(*WAYS[way], "tuning.frozen_layers=1", "tuning.head_lr=1e-2")
    headline = HEADLINES["score" if "answer=score" in WAYS[way][0] else "label"]
    assert result.headline == headline and f"test/{headline}" in result.metrics
    found = evaluate([
        f"run={result.folder}", f"output={tmp_path / 'again'}", "trainer=cpu", "trainer.precision=32-true",
    ])  # fmt: skip
    assert found == pytest.approx({k: v for k, v in result.metrics.items() if k.startswith("test/")}, abs=1e-3)
    run = load_run(str(result.folder))
    answers = list(Predictor(run, device="cpu").answers(rows(result.folder)))
    for told, answer in zip(rows(result.folder), answers, strict=True):
        if headline == "accuracy":
            assert answer["scores"] == pytest.approx(told["scores"], abs=2e-2)
        else:
            assert answer["score"] == pytest.approx(told["predicted"], abs=5e-2) and 0 <= answer["score"] <= 5
        assert (answer["first"], answer["second"]) == (told["first"], told["second"])


def test_the_head_of_a_bi_encoder_is_learnt_saved_and_loaded(pairs_run: Train) -> None:
    result = pairs_run("task.answer=label", "task.encoder=bi", "tuning.frozen_layers=all", "tuning.head_lr=1e-2")
    network = load_run(str(result.folder)).network
    again = load_run(str(result.folder)).network
    assert network.pair_head.weight.shape == (3, 96)
    assert torch.equal(network.pair_head.weight, again.pair_head.weight)
    from rag_lightning.model.pair_head import PairHead

    assert (network.pair_head.weight - PairHead(32, 3).weight).abs().max() > 1e-2


def test_a_bi_encoder_without_head_has_nothing_left_to_train_above_frozen_layers(pairs_run: Train) -> None:
    with pytest.raises(UserError, match="no parameter is left to train"):
        pairs_run("task.answer=score", "task.encoder=bi", "tuning.frozen_layers=all")


def test_the_pipeline_of_transformers_gives_the_same_for_pairs(pairs_run: Train) -> None:
    from transformers import pipeline

    result = pairs_run("model.pooling=native")
    run = load_run(str(result.folder))
    texts = [("Ada lived in London.", "She lived there."), ("Rain again.", "The sun shines.")]
    given = pipeline("text-classification", model=str(result.folder / "model"), device="cpu", top_k=None)(
        [{"text": first, "text_pair": second} for first, second in texts]
    )
    records = [run.task.read_fields({"first": first, "second": second}, "") for first, second in texts]  # type: ignore[misc]
    for answer, scores in zip(Predictor(run, device="cpu").answers(records), given, strict=True):
        assert answer["scores"] == pytest.approx({row["label"]: row["score"] for row in scores}, abs=5e-3)


RELATED = [
    {"first": f"Who likes {thing}?", "second": f"I am fond of {thing}.", "label": "relevant"}
    for thing in ("tea", "chess", "rain", "maps", "bread", "jazz", "snow", "ducks", "trams", "soup", "books", "bells")
]


def write(folder: Path, name: str, given: list[dict[str, Any]]) -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")


@pytest.mark.parametrize("labelled", [True, False])
def test_pairs_that_belong_together_are_found_among_all(labelled: bool, pairs_run: Train, tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write(tmp_path, f"{split}.jsonl", [r if labelled else {k: r[k] for k in ("first", "second")} for r in RELATED])
    result = pairs_run(
        "task.encoder=bi", "task.loss=in_batch", "data=jsonl", f"data.path={tmp_path}", "trainer.max_epochs=20",
        "optimizer.lr=1e-2",
    )  # fmt: skip
    assert result.headline == "mrr"
    assert result.metrics["test/mrr"] > 0.6  # the random model begins near chance, which is 0.26
    told = rows(result.folder)
    assert told[0]["of"] == 11 and set(told[0]) >= {"first", "second", "predicted", "better"}
    answer = next(iter(Predictor(load_run(str(result.folder)), device="cpu").answers(told[:1])))
    assert set(answer) == {"id", "first", "second", "score"}


def test_candidates_are_ranked_beside_popularity(pairs_run: Train, tmp_path: Path) -> None:
    wrong = [{**row, "second": RELATED[i - 3]["second"], "label": "irrelevant"} for i, row in enumerate(RELATED)]
    for split in ("train", "valid", "test"):
        write(tmp_path, f"{split}.jsonl", RELATED + wrong)
    for way in (["task.loss=in_batch", "task.encoder=bi"], []):
        result = pairs_run("task.ranking=given", "data=jsonl", f"data.path={tmp_path}", *way)
        assert result.headline == "ndcg@10"
        assert set(result.metrics) >= {"test/map", "test/ndcg@10", "test/recall@1", "test/popularity/ndcg@10"}
        assert result.metrics["test/queries"] == 12
        assert result.metrics["test/popularity/ndcg@10"] == pytest.approx(0.8155, abs=1e-3)  # each is right once
        report = (result.folder / "report.md").read_text(encoding="utf-8")
        assert "popularity (how often right in train)" in report and "chance" in report


RULES = """
description: Tell whether the second text follows.
labels:
  entailment: {description: it follows}
  neutral: {description: it may be}
  contradiction: {description: it cannot be, examples: ["It rained. ||| It did not rain."]}
rules:
  denial: {pattern: "not|never|no|nobody", label: contradiction}
"""


@pytest.mark.parametrize("more", [
    ["guidance.features.enabled=true"], ["template=hints"], ["template=hints", "task.encoder=bi"],
    ["template=hints", "task.answer=score"], ["template.text='{first} so {second}'", "template.name=so"],
    ["data.shots=30", "guidance=warmup"], ["data.shots=30", "guidance=self_training"],
    ["task.class_weights=balanced"],
], ids=" ".join)  # fmt: skip
def test_rules_and_templates_take_part(more: list[str], pairs_run: Train, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    result = pairs_run(f"rules.path={tmp_path / 'rules.yaml'}", *more)
    run = load_run(str(result.folder))
    record = run.task.read_text("He came in May. ||| He never came.")
    assert next(iter(Predictor(run, device="cpu").answers([record])))["second"] == "He never came."


def test_a_label_is_a_word_between_the_texts(pairs_run: Train) -> None:
    words = "{entailment: [is], neutral: [and], contradiction: [not]}"
    result = pairs_run("template.text='{first} {mask} {sep} {second}'", f"template.verbalizer={words}", "data.shots=0")
    run = load_run(str(result.folder))
    shown = run.rendering.render((), run.labels)(run.task.read_text("He came in May. ||| He never came."))
    written = " ".join(word for segment in shown for word in segment.words)
    assert written == "He came in May. [MASK] [SEP] He never came."
    assert set(next(iter(Predictor(run, device="cpu").answers(rows(result.folder))))["scores"]) == set(run.labels)


@pytest.mark.parametrize(("more", "message"), [
    (["task.loss=cosent"], "loss=cosent is of a bi-encoder"),
    (["task.encoder=bi", "task.loss=softmax", "task.answer=score"], "loss=softmax does not learn from scores"),
    (["task.encoder=bi", "task.loss=cosine"], "loss=cosine does not learn from labels"),
    (["task.ranking=all"], "only where vectors are compared"),
    (["task.encoder=bi", "task.loss=in_batch", "task.ranking=none"], "judged by rankings only"),
    (["task.answer=score", "task.labels=[a,b]"], "scores have no labels"),
    (["task.scale=[0,5]"], "labels have no scale"),
    (["task.answer=score", "task.scale=[5,0]"], "the lowest score comes first"),
    (["task.answer=score", "task.scale=[0,3]"], r"outside of the scale from 0 to 3"),
    (["task.answer=score", "task.class_weights=balanced"], "only labels have weights"),
    (["task.ranking=given"], "it is not clear which label means"),
    (["task.answer=score", "template=cloze"], "task=matching with these settings gives none"),
    (["task.encoder=bi", "guidance.semantics=true"], "rules take part in the text alone"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused_in_words(more: list[str], message: str, pairs_run: Train) -> None:
    with pytest.raises(UserError, match=message) as caught:
        pairs_run(*more)
    assert caught.value.remedy


def test_an_interrupted_bi_encoder_goes_on_where_it_was(
    pairs_run: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = ["task.answer=label", "task.encoder=bi", "trainer.max_epochs=2", "checkpoint.every_steps=3"]
    expected = weights(pairs_run(*way, f"run.folder={tmp_path}/whole").folder)
    with monkeypatch.context() as patch:
        crash_after(patch, 8, fail)
        with pytest.raises(Crash):
            pairs_run(*way, f"run.folder={tmp_path}/cut")
    assert weights(pairs_run(*way, f"run.folder={tmp_path}/cut").folder) == expected
