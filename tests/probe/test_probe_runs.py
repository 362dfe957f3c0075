"""Probes of whole runs: the same training with and without, and results wherever a reader looks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import Command
from crashes import Crash, crash_after, fail, weights
from tiny import sample_overrides

from rag_lightning.callbacks.dashboard import WandbDashboard
from rag_lightning.report.history import read_history
from rag_lightning.report.knowledge import Kept, Knowledge
from rag_lightning.train import train

Overrides = Callable[..., list[str]]
PROBES = [
    "probe=[drift,similarity]", "probe.drift.limit=10", "probe.drift.during=4", "probe.similarity.limit=30",
    "probe.similarity.during=20",
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_probing_changes_no_weight_and_no_name_of_a_run(tiny_run: Overrides, tmp_path: Path) -> None:
    plain = train(tiny_run("tuning.frozen_layers=1", f"output_dir={tmp_path}/plain"))
    probed = train(tiny_run("tuning.frozen_layers=1", *PROBES, "probe.every=1", f"output_dir={tmp_path}/probed"))
    assert weights(plain.folder) == weights(probed.folder)
    assert plain.folder.name == probed.folder.name
    scores = {name: value for name, value in probed.metrics.items() if not name.startswith("probe/")}
    assert scores == plain.metrics


def test_results_are_in_every_place(tiny_run: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    result = train(tiny_run(*PROBES, "probe.every=2"))
    out = capsys.readouterr().out
    assert "What was kept" in out and "before: drift cka 1.000" in out
    metrics = json.loads((result.folder / "metrics.json").read_text())["metrics"]["probe"]
    for key in ("before", "after", "kept"):
        assert metrics[f"similarity/spearman/{key}"] == result.metrics[f"probe/similarity/spearman/{key}"]
    assert metrics["drift/layer/2/cka/after"] < 1
    assert metrics["drift/layer/2/distance/after"] > 0
    report = (result.folder / "report.md").read_text()
    assert "## What was kept" in report and "| drift | cka | 1.000 |" in report and "![What was kept" in report
    assert (result.folder / "kept.png").stat().st_size > 1000
    rows = [row for row in read_history(result.folder / "history.jsonl") if "probe/drift/cka" in row]
    steps = [row["step"] for row in rows]
    assert steps == list(range(0, 2 * len(steps), 2)) and len(steps) > 3
    assert rows[0]["probe/drift/cka"] == pytest.approx(1)
    assert rows[-1]["probe/drift/distance"] > rows[1]["probe/drift/distance"] > 0


def test_a_run_that_broke_off_has_the_same_history(
    tiny_run: Overrides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [*PROBES, "probe.every=2", "checkpoint.every_steps=2"]
    whole = train(tiny_run(*asked, f"run.folder={tmp_path}/whole"))
    cut = tiny_run(*asked, f"run.folder={tmp_path}/cut")
    with monkeypatch.context() as patch:
        crash_after(patch, 5, fail)
        with pytest.raises(Crash):
            train(cut)
    assert weights(train(cut).folder) == weights(whole.folder)
    of_probes = [
        [{k: v for k, v in row.items() if k.startswith(("step", "probe/"))} for row in read_history(path)]
        for path in (whole.folder / "history.jsonl", tmp_path / "cut" / "history.jsonl")
    ]
    assert of_probes[0] == of_probes[1]


def test_accumulated_gradients_are_probed_once_a_step(tiny_run: Overrides) -> None:
    result = train(tiny_run(*PROBES, "probe.every=1", "trainer.accumulate_grad_batches=2"))
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    steps = [row["step"] for row in map(json.loads, lines) if "probe/drift/cka" in row]
    assert steps == list(range(len(steps))) and len(steps) > 3


def test_the_command_measures_a_finished_run_as_the_training_would(
    tiny_run: Overrides, tmp_path: Path, run: Command
) -> None:
    probed = train(tiny_run(*PROBES, f"output_dir={tmp_path}/probed"))
    plain = train(tiny_run(f"output_dir={tmp_path}/plain"))
    outcome = run("probe", f"run={plain.folder}", *PROBES)
    assert outcome.code == 0 and "What was kept" in outcome.out
    for file in ("metrics.json", "probe.json"):
        assert (plain.folder / file).is_file()
    found = [json.loads((each.folder / "metrics.json").read_text())["metrics"]["probe"] for each in (plain, probed)]
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert found[0]["drift/cka/after"] < 1


def test_a_finished_run_that_is_asked_more_is_measured_without_training(tiny_run: Overrides) -> None:
    first = train(tiny_run())
    written = (first.folder / "model" / "model.safetensors").stat().st_mtime_ns
    again = train(tiny_run(*PROBES))
    assert again.already_done
    assert again.metrics["probe/drift/cka/after"] < 1
    assert again.metrics["test/f1"] == first.metrics["test/f1"]
    assert (first.folder / "model" / "model.safetensors").stat().st_mtime_ns == written
    before = (first.folder / "probe.json").stat().st_mtime_ns
    train(tiny_run(*PROBES))
    assert (first.folder / "probe.json").stat().st_mtime_ns == before


def test_what_is_asked_later_comes_beside_what_was_asked_before(tiny_run: Overrides, run: Command) -> None:
    pytest.importorskip("peft")
    asked = [*PROBES, "tuning.adapter.kind=lora"]
    first = train(tiny_run(*asked))
    (rows, metrics), report = _of_probes(first.folder), (first.folder / "report.md").read_text()
    assert {"similarity", "adapters_off/similarity"} <= {row["probe"] for row in rows}
    outcome = run("probe", f"run={first.folder}", "probe=language", "probe.language.limit=4")
    assert outcome.code == 0 and "similarity" in outcome.out
    later, later_metrics = _of_probes(first.folder)
    assert [row for row in later if row["probe"] != "language"] == rows
    assert later_metrics.items() >= {k: v for k, v in metrics.items() if k != "kept"}.items()
    shares = [row["kept"] for row in later if row["counts"]]
    assert later_metrics["kept"] == min(shares)
    told = "similarity spearman was no better than chance" in " ".join(outcome.out.split())
    counts = next(row["counts"] for row in later if row["probe"] == "similarity")
    assert told != counts  # which of both hangs on the random weights of the tiny network
    status = json.loads((first.folder / "status.json").read_text())["metrics"]
    assert status.items() >= {f"probe/{name}": value for name, value in later_metrics.items()}.items()
    rewritten = (first.folder / "report.md").read_text()
    assert rewritten.count("## What was kept") == 1 and "| language | pseudo" in rewritten
    assert "| similarity | spearman |" in rewritten
    assert rewritten.partition("## What was kept")[0] == report.partition("## What was kept")[0]
    assert rewritten.partition("## Use it again")[2] == report.partition("## Use it again")[2] != ""
    written = (first.folder / "probe.json").stat().st_mtime_ns
    train(tiny_run(*asked))  # was asked all of it, at another time
    assert (first.folder / "probe.json").stat().st_mtime_ns == written
    again = run("probe", f"run={first.folder}", "probe=similarity", "probe.similarity.limit=20")
    assert again.code == 0
    probes = [row["probe"] for row in _of_probes(first.folder)[0]]
    assert probes.count("similarity") == 1 and "adapters_off/similarity" not in probes  # that was of other pairs
    assert "language" in probes and "adapters_off/drift" in probes


def _of_probes(folder: Path) -> tuple[list[dict[str, Any]], dict[str, float]]:
    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]["probe"]
    return json.loads((folder / "probe.json").read_text())["rows"], metrics


def test_the_report_of_a_run_without_probes_gets_a_section(tiny_run: Overrides, run: Command) -> None:
    plain = train(tiny_run())
    before = (plain.folder / "report.md").read_text()
    assert run("probe", f"run={plain.folder}", *PROBES).code == 0
    report = (plain.folder / "report.md").read_text()
    start, end = report.index("## What was kept"), report.index("## Use it again")
    assert report[:start] + report[end:] == before
    assert "| drift | cka | 1.000 |" in report[start:end] and "(kept.png)" in report[start:end]


def test_a_finished_run_is_asked_again_on_another_general_text(tiny_run: Overrides, tmp_path: Path) -> None:
    text = tmp_path / "text"
    for name in ("one", "two"):
        (text / name).mkdir(parents=True)
        sentences = [f"The {name} of number {number} went slowly home in the evening." for number in range(40)]
        (text / name / "text.txt").write_text("\n\n".join(sentences))
    shutil.copytree(text / "one", text / "copy")

    def on(name: str) -> tuple[float, int]:
        other = ["data@general_text=texts", f"general_text.path={text / name}"]
        result = train(tiny_run(*PROBES, *other))
        written = (result.folder / "probe.json").stat().st_mtime_ns
        return result.metrics["probe/drift/cosine/after"], written

    first, again, moved, other = on("one"), on("one"), on("copy"), on("two")
    assert first == again == moved
    assert other[1] > first[1] and other[0] != first[0]


def test_a_run_whose_model_is_gone_keeps_its_result(tiny_run: Overrides, capsys: pytest.CaptureFixture[str]) -> None:
    first = train(tiny_run())
    shutil.rmtree(first.folder / "model")
    capsys.readouterr()
    again = train(tiny_run(*PROBES))
    assert again.already_done and again.score == first.score and again.metrics == first.metrics
    out = capsys.readouterr().out
    assert f"The model of {first.folder} is gone" in out and "force=true" in out


def test_what_was_learnt_beside_unlabelled_texts_is_not_asked(
    tiny_model: Path, tmp_path: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("further.jsonl").write_text('{"first": "It rains.", "second": "It is wet."}\n')
    asked = ["probe=similarity", "probe.similarity.split=all"]
    own = sample_overrides("matching", tiny_model, tmp_path, "trainer.max_steps=2", "data.unlabelled=further.jsonl")
    plain = train(own)
    for name, overrides in (("train", [*own, *asked]), ("probe", [f"run={plain.folder}", *asked])):
        outcome = run(name, *overrides)
        assert outcome.code == 2 and "the run learns from the very examples" in outcome.err, name
    Path("further.jsonl").unlink()
    gone = run("probe", f"run={plain.folder}", *asked)
    assert gone.code == 0 and "data are not where they were" in gone.out


def test_the_command_refuses_in_words(run: Command, tmp_path: Path) -> None:
    missing = run("probe", f"run={tmp_path}")
    assert missing.code == 2 and "not a run's folder" in missing.err
    none = run("probe", f"run={tmp_path}", "probe=none")
    assert none.code == 2 and "no probe is chosen" in none.err
    random = run("train", "task=ner", "model=minilm", "probe=drift", "model.random_init=true")
    assert random.code == 2 and "knows nothing that could be kept" in random.err


def test_the_dashboard_gets_summary_and_table(monkeypatch: pytest.MonkeyPatch) -> None:
    summary: dict[str, float] = {}
    logged: dict[str, Any] = {}
    wandb_run = SimpleNamespace(summary=summary, log=logged.update)
    monkeypatch.setattr("rag_lightning.callbacks.dashboard._table", lambda columns, rows: [columns, *rows])
    dashboard = WandbDashboard()
    monkeypatch.setattr(dashboard, "_runs", lambda: [wandb_run])
    dashboard.log_knowledge(Knowledge((Kept("similarity", "spearman", 0.8, 0.6, 0.75, True),)))
    assert summary == {
        "probe/kept": 0.75, "probe/similarity/spearman/before": 0.8, "probe/similarity/spearman/after": 0.6,
        "probe/similarity/spearman/kept": 0.75,
    }  # fmt: skip
    assert logged["probe/what_was_kept"][1] == ("similarity", "spearman", 0.8, 0.6, "75.0 %")
