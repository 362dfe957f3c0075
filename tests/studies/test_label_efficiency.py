"""How far labels go: the sums on known numbers, and a small study from the command line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from matplotlib.image import imread

from rag_lightning.errors import UserError
from rag_lightning.studies.label_efficiency import trials_of
from rag_lightning.studies.options import Arm, StudyConfig
from rag_lightning.studies.plot import plot_label_curves
from rag_lightning.studies.summary import Outcome, labels_for, markdown, summarise

ARMS = ["plain", "guided"]


def study(**changes: Any) -> StudyConfig:
    arms = {"plain": Arm(overrides=["rules=none"]), "guided": Arm(shots=[10])}
    return StudyConfig(
        **{
            "shared": [],
            "shots": [10, 40],
            "per_label": False,
            "seeds": [2, 1],
            "arms": arms,
            "folder": None,
            "keep_models": False,
        }
        | changes
    )


def outcome(arm: str, shots: int, seed: int, score: float | None) -> Outcome:
    return Outcome(arm, shots, seed, score, "test/f1", 60.0, None if score is not None else "the disk is full", "x")


def test_trials_are_every_combination_once_with_the_users_words() -> None:
    trials = list(trials_of(study(), ["optimizer.lr=1e-4"]))
    assert [(t.arm, t.shots, t.seed) for t in trials] == [
        ("plain", 10, 1), ("guided", 10, 1), ("plain", 10, 2), ("guided", 10, 2), ("plain", 40, 1), ("plain", 40, 2),
    ]  # fmt: skip
    assert trials[0].overrides == ("optimizer.lr=1e-4", "data.shots=10", "seed=1", "rules=none")
    assert "data.shots_per_label=10" in next(trials_of(study(per_label=True), [])).overrides


def test_an_arm_may_not_set_what_the_study_sets() -> None:
    with pytest.raises(UserError, match="seed"):
        list(trials_of(study(arms={"a": Arm(overrides=["seed=3"])}), []))


def test_an_arm_may_be_a_line() -> None:
    made = study(shared="task=ner batching.size=8", arms={"a": "optimizer.lr=1e-4 rules=none", "b": ["rules=none"]})
    assert made.arms["a"].overrides == ["optimizer.lr=1e-4", "rules=none"] and made.arms["b"].shots is None
    assert made.shared == ["task=ner", "batching.size=8"]


def test_labels_saved_are_read_off_along_the_logarithm() -> None:
    curve = [(50, 0.5), (200, 0.6), (800, 0.8)]
    assert labels_for(0.6, curve) == pytest.approx(200)
    assert labels_for(0.7, curve) == pytest.approx(400)  # half way from 200 to 800 in factors
    assert labels_for(0.4, curve) == 50
    assert labels_for(0.9, curve) is None


def test_means_spreads_and_what_failed() -> None:
    outcomes = [
        outcome("plain", 10, 1, 0.4), outcome("plain", 10, 2, 0.6), outcome("plain", 40, 1, 0.7),
        outcome("guided", 10, 1, 0.7), outcome("guided", 40, 1, 0.9), outcome("guided", 40, 2, None),
    ]  # fmt: skip
    rows = {(row.arm, row.shots): row for row in summarise(outcomes, ARMS)}
    assert rows["plain", 10].mean == pytest.approx(0.5) and rows["plain", 10].spread == pytest.approx(0.1414, abs=1e-4)
    assert rows["plain", 40].spread is None and rows["plain", 10].equals is None
    assert rows["guided", 10].equals == pytest.approx(40) and not rows["guided", 10].beyond
    assert rows["guided", 40].beyond
    text = markdown(outcomes, ARMS, per_label=False)
    assert "| guided | 10 | **0.700** | 0.700 | 40 (4.0x) | 1.0 |" in text
    assert "more than were tried" in text and "guided, 40 labels, seed 2: the disk is full" in text


def test_the_first_arm_of_the_study_is_the_measure_also_where_another_one_ran_first() -> None:
    outcomes = [outcome("guided", 0, 1, 0.5), outcome("plain", 10, 1, 0.4), outcome("plain", 40, 1, 0.6)]
    rows = summarise(outcomes, ARMS)
    assert [row.arm for row in rows] == ["plain", "plain", "guided"]
    assert rows[2].equals == pytest.approx(20) and rows[0].equals is None
    assert "as good as plain with" in markdown(outcomes, ARMS, per_label=False)


def test_where_an_arm_helps_and_where_it_hurts() -> None:
    outcomes = [
        replace(outcome("plain", 10, 1, 0.4), by_label={"PER": 0.5, "ORG": 0.6}),
        replace(outcome("plain", 10, 2, 0.4), by_label={"PER": 0.7, "ORG": 0.6}),
        replace(outcome("guided", 10, 1, 0.7), by_label={"PER": 0.8, "ORG": 0.5}),
    ]
    text = markdown(outcomes, ARMS, per_label=False)
    assert "| guided | 10 | 1 of 2 | ORG 0.60 → 0.50 (-0.10), PER 0.60 → 0.80 (+0.20) |" in text


@pytest.mark.slow
def test_a_study_from_the_command_line_goes_on_where_it_was(
    run: Callable[..., Any], tiny_run: Callable[..., list[str]], tmp_path: Path, no_pictures: None
) -> None:
    rules = {"labels": {"PER": "person"}, "rules": {"capitals": {"pattern": r"(?P<PER>\p{Lu}\p{Ll}+)"}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    words = tiny_run(f"rules.path={tmp_path / 'mine.yaml'}", "study.shots=[6,12]", "study.seeds=[1]")
    words.append(f"study.folder={tmp_path / 'study'}")
    done = run("label_efficiency", *words)
    assert done.code == 0, done.err
    results = [json.loads(line) for line in (tmp_path / "study" / "results.jsonl").read_text().splitlines()]
    assert [(r["arm"], r["shots"]) for r in results] == [("plain", 6), ("guided", 6), ("plain", 12), ("guided", 12)]
    assert all(set(r["by_label"]) <= {"PER", "LOC", "ORG", "MISC"} and r["by_label"] for r in results)
    assert all(r["metric"] == "test/f1" and r["score"] is not None for r in results)
    assert "| guided | 12 |" in (tmp_path / "study" / "table.md").read_text()
    assert (tmp_path / "study" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "runs").glob("*/model"))
    again = run("label_efficiency", *words)
    assert again.code == 0 and again.out.count("This run is finished") == 4


def test_a_misspelt_setting_is_told_before_any_run(run: Callable[..., Any], tiny_run: Callable[..., list[str]]) -> None:
    done = run("label_efficiency", *tiny_run("study.sed=[1]"))
    assert done.code == 2 and "study.seeds" in done.err


def test_one_number_of_labels_is_drawn_as_a_row_for_each_arm(tmp_path: Path) -> None:
    arms = [f"way{i}" for i in range(12)]
    outcomes = [outcome(arm, 8, seed, 0.5 + 0.01 * seed) for arm in arms for seed in (1, 2)]
    heights = []
    for count in (2, 12):
        own = [each for each in outcomes if each.arm in arms[:count]]
        plot_label_curves(tmp_path / "p.png", summarise(own, arms), "test/f1", per_label=True)
        heights.append(imread(tmp_path / "p.png").shape[0])
    assert heights[1] > 2 * heights[0]
