"""A sequence of tasks: the sums on a known matrix, and a small one from the command line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import sample_overrides

from rag_lightning.config.overrides import override
from rag_lightning.studies.sequence_summary import Course, markdown

COURSE = Course(
    "plain", 1, ["a", "b", "c"], ["f1", "f1", "accuracy"],
    scores=[[0.8], [0.5, 0.7], [0.6, 0.4, 0.9]], alone=[0.8, 0.75, 0.8],
)  # fmt: skip


def test_forgetting_and_transfer_on_a_known_matrix() -> None:
    assert COURSE.forgetting == pytest.approx(((0.8 - 0.6) + (0.7 - 0.4)) / 2)
    assert COURSE.backward == pytest.approx(((0.6 - 0.8) + (0.4 - 0.7)) / 2)
    assert COURSE.forward == pytest.approx(((0.7 - 0.75) + (0.9 - 0.8)) / 2)


def test_where_less_is_better_a_rise_is_forgetting() -> None:
    perplexities = replace(
        COURSE, scores=[[12.0], [15.0, 9.0]], alone=[12.0, 10.0], tasks=["a", "b"], lower=[True, True]
    )
    assert (perplexities.forgetting, perplexities.backward, perplexities.forward) == (3.0, -3.0, 1.0)


def test_the_table_names_what_was_learnt_and_what_is_left() -> None:
    table = markdown([COURSE])
    assert "| plain | 0.800 → 0.600 | 0.700 → 0.400 | 0.900 → 0.900 | 0.250 | -0.250 | 0.025 | 1 |" in table


@pytest.mark.slow
def test_two_tasks_from_the_command_line(run: Any, tiny_model: Path, tmp_path: Path) -> None:
    runs = tmp_path / "mine, or (yours)"
    words = [word for word in sample_overrides("ner", tiny_model, runs) if not word.startswith(("task", "output_dir"))]
    words += [override("output_dir", str(runs)), "trainer.max_epochs=1"]
    few = 'sequence.shared="data.limit.train=12 data.limit.validation=6 data.limit.test=6"'
    once = [*words, few, "~sequence.tasks.matching", "sequence.seeds=[1]", "sequence.only=[plain]"]
    result = run("sequence", *once, f"sequence.folder={tmp_path}/study")
    assert result.code == 0, result.err
    course = json.loads((tmp_path / "study" / "courses.jsonl").read_text().splitlines()[0])
    assert [len(row) for row in course["scores"]] == [1, 2]
    assert (tmp_path / "study" / "courses.png").stat().st_size > 1000
    again = run("sequence", *once, f"sequence.folder={tmp_path}/study")
    assert again.out.count("This run is finished") == 3  # two by themselves, and the second after the first
    (left,) = tmp_path.rglob("still-*.json")
    before = left.stat().st_mtime_ns
    (left.parent.parent / left.stem.removeprefix("still-") / "status.json").touch()  # as if it was made again
    run("sequence", *once, f"sequence.folder={tmp_path}/study")
    assert left.stat().st_mtime_ns > before
