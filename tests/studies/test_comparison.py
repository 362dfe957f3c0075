"""Ways of training side by side: the sums, the front, and a small comparison from the command line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import sample_overrides

from rag_lightning.studies.comparison_summary import markdown, summarise
from rag_lightning.studies.pareto import plot_pareto
from rag_lightning.studies.summary import Outcome
from rag_lightning.studies.trials import kept_of

ARMS = ["plain", "half", "kept", "beaten"]


def outcome(arm: str, seed: int, score: float | None, kept: float, seconds: float = 60.0) -> Outcome:
    shares = {"similarity/spearman": kept + 0.01, "kept": kept}
    reason = None if score is not None else "the disk is full"
    return Outcome(arm, 0, seed, score, "test/f1", seconds, reason, "x", {}, shares if score is not None else {})


OUTCOMES = [
    outcome("plain", 1, 0.90, 0.70), outcome("plain", 2, 0.86, 0.74),
    outcome("half", 1, 0.87, 0.90, 90.0), outcome("kept", 1, 0.80, 0.99), outcome("beaten", 1, 0.79, 0.95),
    outcome("beaten", 2, None, 0.0),
]  # fmt: skip


def test_means_times_and_the_front() -> None:
    plain, half, kept, beaten = summarise(OUTCOMES, ARMS)
    assert plain.score == pytest.approx(0.88) and plain.seeds == 2 and plain.score_spread is not None
    assert plain.kept["kept"] == pytest.approx(0.72)
    assert half.times == pytest.approx(1.5) and half.score_spread is None
    assert [side.on_front for side in (plain, half, kept, beaten)] == [True, True, True, False]


def test_the_front_where_less_is_better() -> None:
    outcomes = [
        replace(one, lower_is_better=True) for one in (outcome("plain", 1, 9.0, 0.7), outcome("half", 1, 20.0, 0.7))
    ]
    assert [side.on_front for side in summarise(outcomes, ARMS)] == [True, False]


def test_an_adapter_that_can_be_switched_off_is_a_way_of_its_own() -> None:
    shares = {"kept": 0.6, "similarity/spearman": 0.6, "adapters_off/similarity/spearman": 1.0}
    lora = replace(outcome("plain", 1, 0.85, 0.7), arm="lora", kept=shares)
    plain, on, off = summarise([OUTCOMES[0], lora], ["plain", "lora"])
    assert (on.arm, off.arm) == ("lora", "lora, adapter off")
    assert on.kept == {"kept": 0.6, "similarity/spearman": 0.6} and off.kept == {
        "kept": 1.0,
        "similarity/spearman": 1.0,
    }
    assert off.score == on.score and off.on_front and not on.on_front and plain.on_front


def test_the_table_says_what_failed_and_why() -> None:
    table = markdown(OUTCOMES, ARMS)
    assert "| **half** | 0.870 | 90.0 % | 91.0 % | 1.5 | 1.50 | 1 |" in table
    assert "- beaten, seed 2: the disk is full" in table
    assert "| beaten | 0.790 |" in table


def test_without_probes_there_is_no_front_and_no_picture(tmp_path: Path) -> None:
    bare = [Outcome("plain", 0, 1, 0.5, "test/f1", 60.0, None, "x")]
    (side,) = summarise(bare, ["plain"])
    assert not side.on_front
    plot_pareto(tmp_path / "pareto.png", [side])
    assert not (tmp_path / "pareto.png").exists()


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    plot_pareto(tmp_path / "pareto.png", summarise(OUTCOMES, ARMS))
    assert (tmp_path / "pareto.png").stat().st_size > 5000


def test_what_is_kept_is_of_knowledge() -> None:
    """Drift explains the others and is in no table of what was kept."""
    shares = {
        "similarity/spearman": 0.95, "drift/cka": 0.2, "drift/layer/1/cka": 0.3, "adapters_off/drift/cka": 1.0,
        "adapters_off/similarity/spearman": 1.0,
    }  # fmt: skip
    metrics = {f"probe/{name}/kept": share for name, share in shares.items()}
    metrics |= {"test/f1": 0.9, "probe/kept": 0.95, "probe/similarity/spearman/after": 0.8}
    assert kept_of(metrics) == {"kept": 0.95, "similarity/spearman": 0.95, "adapters_off/similarity/spearman": 1.0}


def test_a_small_comparison(run: Any, tiny_model: Path, tmp_path: Path) -> None:
    few = ["data.limit.train=12", "data.limit.validation=6", "data.limit.test=6", "trainer.max_epochs=1"]
    words = sample_overrides("ner", tiny_model, tmp_path, *few)
    study = ["comparison.seeds=[1]", "comparison.only=[plain,ema]"]
    study = [*study, "comparison.shared=[]", f"comparison.folder={tmp_path}/study"]
    result = run("compare", *words, *study)
    assert result.code == 0, result.err
    lines = [json.loads(line) for line in (tmp_path / "study" / "results.jsonl").read_text().splitlines()]
    assert [line["arm"] for line in lines] == ["plain", "ema"]
    assert "| ema |" in (tmp_path / "study" / "table.md").read_text()


@pytest.mark.parametrize("command", ["compare", "label_efficiency", "sequence"])
def test_a_dry_run_is_refused_and_leaves_results_as_they_are(run: Any, command: str, tmp_path: Path) -> None:
    node = {"compare": "comparison", "label_efficiency": "study"}.get(command, command)
    (tmp_path / "results.jsonl").write_text("earlier\n")
    result = run(command, f"{node}.folder={tmp_path}", "dry_run=true")
    assert result.code == 2 and "a study has no dry run" in result.err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("results.jsonl", "earlier\n")]


@pytest.mark.parametrize(
    ("command", "word", "instead"),
    [
        ("compare", "seed=7", "comparison.seeds=[7]"),
        ("label_efficiency", "seed=7", "study.seeds=[7]"),
        ("label_efficiency", "data.shots=50", "study.shots=[50]"),
        ("label_efficiency", "data.shots_per_label=4", "study.per_label=true study.shots=[4]"),
        ("sequence", "seed=7", "sequence.seeds=[7]"),
        ("sequence", "task=ner", "sequence.tasks.ner="),
        ("sequence", "data.path=FOLDER", "sequence.tasks.ner="),
    ],
)
def test_a_word_that_the_study_would_overrule_is_refused_with_the_right_one(
    run: Any, command: str, word: str, instead: str, tmp_path: Path
) -> None:
    result = run(command, word, f"output_dir={tmp_path}/runs")
    assert result.code == 2 and f"the study itself sets {word.partition('=')[0].split('.')[0]}" in result.err
    assert instead in result.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("command", "arm"), [("compare", "comparison.arms.few"), ("sequence", "sequence.arms.few")], ids=lambda each: each
)
def test_numbers_of_labels_are_refused_where_they_would_change_nothing(run: Any, command: str, arm: str) -> None:
    result = run(command, f"+{arm}={{overrides: [], shots: [8]}}")
    assert result.code == 2 and "data.shots" in result.err and "Traceback" not in result.err
