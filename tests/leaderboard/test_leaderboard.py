"""The leaderboard: seeds are one row, what ranks, what is shown where there is no room, leaderboard.csv."""

import csv
import io
import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Command
from rich.cells import cell_len
from rich.console import Console
from sweep_folder import write_sweep

from rag_lightning.leaderboard.certainty import verdict
from rag_lightning.leaderboard.names import short_names, shown
from rag_lightning.leaderboard.rows import Leaderboard, leaderboard
from rag_lightning.leaderboard.spreadsheet import csv_text
from rag_lightning.leaderboard.terminal import print_leaderboard
from rag_lightning.sweep.record import Question, Record, read_question, read_records


def read(folder: Path) -> Leaderboard:
    return leaderboard(read_question(folder), read_records(folder))


def board_of(scores: dict[str, list[float]], *, lower_is_better: bool = False) -> Leaderboard:
    """Settings ``lr`` with a score for each seed."""
    question = Question(
        "q", ("rag_lightning.train",), (), {"optimizer.lr": ",".join(scores), "seed": "1,2,3"}, 0, "ner", "f1",
        lower_is_better,
    )  # fmt: skip
    records = [
        Record(f"{lr}{seed}", number, (), {"optimizer.lr": lr, "seed": str(seed)}, "finished", score=score)
        for lr, values in scores.items()
        for number, (seed, score) in enumerate(enumerate(values))
    ]
    return leaderboard(question, records)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "sweep")


def printed(board: Leaderboard, width: int, rows: int = 20) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    print_leaderboard(board, console, rows)
    return console.export_text()


def test_trials_that_differ_in_the_seed_are_one_row_ranked_by_the_mean_on_validation(sweep: Path) -> None:
    board, records = read(sweep), read_records(sweep)
    assert len(board.rows) == 18
    assert sum(board.states.values()) == 54
    best = board.rows[0]
    own = [r for r in records if {**r.values, "seed": ""} == {**best.values, "seed": ""}]
    scores = [r.score for r in own if r.score is not None]
    assert best.score is not None and best.test is not None
    assert best.score.mean == pytest.approx(statistics.mean(scores))
    assert best.score.spread == pytest.approx(statistics.stdev(scores))
    assert best.test.mean == pytest.approx(statistics.mean(r.metrics["test/f1"] for r in own))
    means = [row.score.mean for row in board.ranked if row.score]
    assert means == sorted(means, reverse=True)
    assert [row.rank for row in board.ranked] == list(range(1, 19))


def test_only_what_differs_is_a_column_under_its_shortest_name() -> None:
    question = Question("q", (), (), {"optimizer.lr": "1,2", "seed": "1", "tuning.frozen_layers": "0"}, 2, "ner", "f1")
    records = [
        Record(lr, n, (), {"optimizer.lr": lr, "seed": "1", "tuning.frozen_layers": "0"}, "finished", score=0.5)
        for n, lr in enumerate("12")
    ]
    board = leaderboard(question, records)
    assert dict(board.keys) == {"optimizer.lr": "lr"}
    assert not board.seeds
    assert short_names(["a.lr", "b.lr", "model.name", "data@probe.x"]) == {
        "a.lr": "a.lr", "b.lr": "b.lr", "model.name": "model.name", "data@probe.x": "x",
    }  # fmt: skip


def test_lower_is_better_turns_the_order() -> None:
    scores = {"1e-5": [0.2, 0.3], "3e-5": [0.1, 0.1]}
    assert board_of(scores).rows[0].values["optimizer.lr"] == "1e-5"
    assert board_of(scores, lower_is_better=True).rows[0].values["optimizer.lr"] == "3e-5"


def test_a_trial_without_a_score_counts_for_nothing_and_is_told_with_its_reason(sweep: Path) -> None:
    board = read(sweep)
    row = next(row for row in board.rows if len(row.finished) < 3)
    assert [r.state for r in row.records] == ["finished", "hopeless", "failed"]
    assert row.score is not None and row.score.values == (row.records[0].score,)
    said = printed(board, 120)
    assert "1 of 3" in said
    assert "failed: 1" in said and "the loss is not a number after step 41" in said
    assert "seed=3" in said.partition("failed: 1")[2]
    assert "stopped early as hopeless: 1" in said and "below the median" in said


def test_a_row_with_no_score_at_all_is_last(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "s", seeds=("1",))
    board = read(folder)
    assert [row.state for row in board.rows[-2:]] == ["hopeless", "failed"]
    assert [row.rank for row in board.rows[-2:]] == [None, None]
    assert not board.seeds and board.rows[0].score is not None and board.rows[0].score.spread is None
    assert "one seed cannot tell" in str(verdict(board))


def test_seeds_that_failed_for_the_same_reason_are_told_once() -> None:
    board = board_of({"1e-5": [0.5]})
    bad = [
        Record(str(seed), seed, (), {"optimizer.lr": "9", "seed": str(seed)}, "refused", "lr is too high")
        for seed in (1, 2)
    ]
    said = printed(leaderboard(board.question, [*board.rows[0].records, *bad]), 100)
    assert "refused: 2" in said
    assert said.count("lr is too high") == 1 and "lr=9, seed=1,2: lr is too high" in said


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_table_fits_the_terminal_and_says_what_it_leaves_out(sweep: Path, width: int) -> None:
    said = printed(read(sweep), width)
    head = next(line for line in said.splitlines() if "val f1" in line)
    assert all(cell_len(line.rstrip()) <= width for line in said.splitlines())
    for title in ("#", "lr", "template", "frozen_layers", "val f1"):
        assert title in head.split() or title in head
    assert "…" not in head
    left_out = "similarity/spearman" not in head
    assert left_out == (width < 200)
    assert ("no room for" in said) == left_out
    if left_out:
        assert "leaderboard.csv has everything" in said


def test_rows_beyond_the_first_are_counted(sweep: Path) -> None:
    assert "13 more rows" in printed(read(sweep), 200, rows=5)


def test_drift_is_no_knowledge_and_layers_are_no_columns(sweep: Path) -> None:
    assert read(sweep).probes == ("language/pseudo_perplexity", "similarity/spearman")


def test_the_csv_has_every_metric_and_is_the_same_for_the_same_results(tmp_path: Path) -> None:
    one, two = (write_sweep(tmp_path / name / "sweep") for name in ("a", "b"))
    text = csv_text(read(one))
    shuffled = [replace(r, number=99 - r.number, seconds=r.seconds + 1, time="later") for r in read_records(two)]
    other = csv_text(leaderboard(read_question(two), shuffled))
    first, second = (list(csv.DictReader(io.StringIO(t))) for t in (text, other))
    assert text != other
    assert [{k: v for k, v in r.items() if not k.endswith("seconds")} for r in first] == [
        {k: v for k, v in r.items() if not k.endswith("seconds")} for r in second
    ]
    assert {"test/PER/f1", "probe/drift/layer/1/cka/kept", "reason", "seeds", "scores"} <= set(first[0])
    assert float(first[0]["validation/f1"]) == read(one).rows[0].score.mean  # type: ignore[union-attr]
    assert "not a number" in next(r for r in first if r["n"] == "1")["reason"]


def test_seeds_scores_and_runs_belong_together_where_a_seed_failed() -> None:
    board = board_of({"1e-5": [0.5, 0.7]})
    good = [replace(record, fingerprint=f"run{number}") for number, record in enumerate(board.rows[0].records)]
    bad = Record("b", 9, (), {"optimizer.lr": "1e-5", "seed": "-1"}, "failed", "no memory left", fingerprint="lost")
    cells = next(csv.DictReader(io.StringIO(csv_text(leaderboard(board.question, [bad, *good])))))
    seeds = [record.values["seed"] for record in good]
    assert cells["seeds"].split() == seeds and cells["n"] == "2"
    assert (cells["scores"], cells["runs"], cells["reason"]) == ("0.5 0.7", "run0 run1", "no memory left")


def test_a_value_of_the_user_is_no_formula_in_a_spreadsheet() -> None:
    board = board_of({"=HYPERLINK(1)": [0.5], "-1e-3": [0.4]})
    cells = [row["optimizer.lr"] for row in csv.DictReader(io.StringIO(csv_text(board)))]
    assert cells == ["'=HYPERLINK(1)", "-1e-3"]


def test_how_sure_the_best_is() -> None:
    clear = verdict(board_of({"1e-5": [0.90, 0.91, 0.905], "3e-5": [0.70, 0.71, 0.70]}))
    assert "more than seeds alone explain" in clear.sure
    near = verdict(board_of({"1e-5": [0.90, 0.80, 0.85], "3e-5": [0.84, 0.86, 0.83], "1e-4": [0.1, 0.1, 0.11]}))
    assert "it cannot be told from the best" in near.sure
    assert "too few seeds" in verdict(board_of({"1e-5": [0.9, 0.91], "3e-5": [0.8]})).sure
    assert verdict(board_of({"1e-5": [0.9, 0.91]})).sure == ""
    assert verdict(board_of({})).best == "None has a score yet."


def test_equal_scores_share_a_rank_and_are_ordered_by_their_settings() -> None:
    board = board_of({"3e-5": [0.5], "1e-5": [0.5], "1e-6": [0.4]})
    assert [(r.rank, r.values["optimizer.lr"]) for r in board.rows] == [(1, "1e-5"), (1, "3e-5"), (3, "1e-6")]


def test_values_are_shown_short() -> None:
    assert shown("0.00012345678901234") == "0.0001235"
    assert shown("1e-5") == "1e-5"
    assert len(shown("a" * 100)) <= 24


def test_the_command_writes_beside_the_records_also_while_the_sweep_is_running(sweep: Path, run: Command) -> None:
    files = sorted((sweep / "trials").glob("*.json"))
    for file in files[:10]:
        file.unlink()
    running = json.loads(files[10].read_text())
    files[10].write_text(json.dumps({**running, "state": "running", "score": None, "metrics": {}}))
    files[11].write_text(json.dumps({**running, "state": "finished", "of_the_future": 1}))
    done = run("report", f"sweep={sweep}")
    assert done.code == 0, done.err
    assert "1 of 44 records in" in done.out and "of another version" in done.out
    assert "11 not begun" in done.out and "1 running" in done.out
    assert (sweep / "leaderboard.csv").is_file()


def test_a_folder_that_is_no_sweep_is_refused_in_words(tmp_path: Path, run: Command) -> None:
    done = run("report", f"sweep={tmp_path}")
    assert done.code == 2
    assert "not a sweep's folder" in done.err and "Traceback" not in done.err
