"""W&B: trials in the group of their sweep, the answer as a run beside them, the question for its agents."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Command
from sweep_folder import write_sweep
from tiny import tiny_overrides, write_small_data
from wandb.apis.public.sweeps import _validate_config_and_fill_distribution
from wandb.sdk.launch.sweeps import utils as agent
from wandb_file import OfflineRun, read_offline_runs

from rag_lightning.config.compose import compose
from rag_lightning.config.overrides import override
from rag_lightning.config.validate import to_plain, validate_train
from rag_lightning.errors import UserError
from rag_lightning.leaderboard.finish import finish_sweep
from rag_lightning.leaderboard.wandb_sweep import parameter, sweep_yaml
from rag_lightning.sweep.record import (
    Question,
    Record,
    key_of,
    read_question,
    read_records,
    write_question,
    write_record,
)
from rag_lightning.train import train

NAME = "lr of ner"
OFFLINE = ("logger=wandb", "logger.wandb.offline=true", "logger.wandb.project=lab", "trainer.max_epochs=1")


@pytest.fixture(scope="module")
def done(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[OfflineRun], OfflineRun, Path]:
    """The runs of two trials, that of the summary, and the sweep's folder."""
    root = tmp_path_factory.mktemp("wandb")
    data, folder = write_small_data(root / "data"), root / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("plot_curves", "plot_confusion"):
            patch.setattr(f"rag_lightning.report.write.{name}", lambda *_, **__: None)
        for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_API_KEY"):
            patch.delenv(name, raising=False)
        shared = tiny_overrides(tiny_model, data, root / "runs", *OFFLINE)
        fixed = tuple(word for word in shared if word not in ("logger=none", "optimizer.lr=1e-3"))
        swept = {"optimizer.lr": "1e-3,3e-3"}
        write_question(folder, Question(NAME, ("-m", "rag_lightning.train", "-m"), fixed, swept, 2, "ner", "f1"))
        trials = []
        for number, lr in enumerate(("1e-3", "3e-3")):
            words = (*fixed, f"optimizer.lr={lr}")
            result = train([*words, override("run.group", NAME), override("run.name", f"lr={lr}")])
            trials += read_offline_runs(result.folder)
            write_record(
                folder,
                Record(
                    key_of(words),
                    number,
                    words,
                    {"optimizer.lr": lr},
                    "finished",
                    folder=str(result.folder),
                    metrics=result.metrics,
                    score=result.score,
                    seconds=1.0,
                ),  # fmt: skip
            )
        finish_sweep(folder)
    [summary] = read_offline_runs(folder)
    return trials, summary, folder


def test_each_trial_is_a_run_of_its_own_in_the_group_of_the_sweep(done: Any) -> None:
    trials, summary, _ = done
    assert [run.name for run in trials] == ["lr=1e-3", "lr=3e-3"]
    assert len({run.id for run in (*trials, summary)}) == 3
    assert {run.group for run in (*trials, summary)} == {NAME}
    assert {run.project for run in (*trials, summary)} == {"lab"}


def test_the_answer_is_a_run_with_table_report_and_csv(done: Any) -> None:
    _, summary, folder = done
    assert summary.name == f"{NAME}: leaderboard"
    assert summary.exit_code == 0
    table = summary.table("leaderboard")
    records = {r.values["optimizer.lr"]: r for r in read_records(folder)}
    scores = [row[table["columns"].index("validation/f1")] for row in table["data"]]
    assert [row[table["columns"].index("rank")] for row in table["data"]] in ([1, 2], [1, 1])
    lrs = [row[table["columns"].index("lr")] for row in table["data"]]
    assert scores == [records[lr].score for lr in lrs] == sorted(scores, reverse=True)
    [artifact] = summary.artifacts_of("sweep")
    assert artifact["name"] == "sweep-lr-of-ner"
    assert sorted(artifact["files"]) == ["leaderboard.csv", "report.html"]
    assert "2 trials" in summary.summary["answer"]
    assert summary.summary["trials/finished"] == 2
    assert summary.summary["best/validation/f1"] == max(scores)


def test_a_sweep_that_does_not_log_to_wandb_gets_no_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_sweep(tmp_path / "s")
    finish_sweep(folder)
    assert "report.html" in capsys.readouterr().out
    assert not list(folder.glob("**/*.wandb"))


def test_a_server_that_refuses_costs_the_sweep_nothing(
    done: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    shutil.copytree(done[2], folder, ignore=shutil.ignore_patterns("wandb"))
    for record in read_records(folder):
        words = tuple(word for word in record.overrides if "offline" not in word)
        write_record(folder, replace(record, overrides=words))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    finish_sweep(folder)
    assert "The leaderboard is not in W&B" in capsys.readouterr().out
    assert (folder / "report.html").is_file()


def copied(done: Any, folder: Path, name: str) -> Path:
    """The sweep as one of another name, whose answer is not in W&B yet."""
    shutil.copytree(done[2], folder, ignore=shutil.ignore_patterns("wandb"))
    write_question(folder, replace(read_question(folder), name=name))
    return folder


def test_a_name_in_any_script_is_that_of_an_artifact(done: Any, tmp_path: Path) -> None:
    finish_sweep(copied(done, tmp_path / "实验", "实验 é1"))
    [summary] = read_offline_runs(tmp_path / "实验")
    [artifact] = summary.artifacts_of("sweep")
    assert artifact["name"] == "sweep--1"


def test_what_wandb_refuses_at_the_end_is_said_and_costs_nothing(
    done: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise ValueError("no such artifact")

    monkeypatch.setattr("wandb.Artifact.add_file", refused)
    folder = copied(done, tmp_path / "sweep", "other")
    finish_sweep(folder)
    assert "The leaderboard is not whole in W&B: ValueError: no such artifact" in capsys.readouterr().out
    assert read_offline_runs(folder)[0].exit_code == 1


def words_of_an_agent(config: dict[str, Any], chosen: dict[str, Any]) -> list[str]:
    """What an agent runs for a trial, built as W&B's own agent does."""
    given = agent.create_sweep_command_args({"args": {key: {"value": value} for key, value in chosen.items()}})
    words: list[str] = []
    for chunk in agent.create_sweep_command(list(config["command"])):
        words += given.get(chunk[2:-1], [chunk]) if chunk.startswith("${") else [chunk]
    return words


def test_agents_run_trials_of_the_same_question(tmp_path: Path, run: Command) -> None:
    swept = {"optimizer.lr": ("1e-5", "3e-5"), "template.text": ('"{text} a, b: c"', "'{text} \"q\"'"), "seed": ("1",)}
    fixed = ("task=ner", "logger=csv", "hydra/launcher=joblib", "run.group=x", "data.limit.train=null")
    folder = write_sweep(tmp_path / "s", swept, seeds=("1",), fixed=fixed, histories=False)
    assert run("report", f"sweep={folder}", "wandb_sweep=true").code == 0
    config = yaml.safe_load((folder / "wandb-sweep.yaml").read_text(encoding="utf-8"))  # as `wandb sweep` does
    assert config["method"] == "grid"
    assert config["metric"] == {"name": "validation/f1", "goal": "maximize"}
    values = {key: found["values"] for key, found in config["parameters"].items()}
    assert values["optimizer.lr"] == [1e-5, 3e-5]
    words = words_of_an_agent(config, {key: choices[0] for key, choices in values.items()})
    assert words[:4] == ["${env}", "${interpreter}", "-m", "rag_lightning.train"]
    plain = to_plain(compose("train", words[4:]))
    validate_train(compose("train", words[4:]))
    assert plain["optimizer"]["lr"] == 1e-5
    assert plain["template"]["text"] == "{text} a, b: c"
    assert list(plain["logger"]) == ["wandb"]
    assert plain["run"]["group"] is None and plain["output_dir"] == "runs/wandb-agents"


def test_ranges_ask_for_a_search(tmp_path: Path) -> None:
    question = read_question(write_sweep(tmp_path / "s", histories=False))
    swept = {"optimizer.lr": "tag(log, interval(1e-5,1e-3))", "tuning.frozen_layers": "int(interval(0,6))"}
    asked = replace(question, swept=swept, total=30)
    config = yaml.safe_load(sweep_yaml(asked))
    assert config["method"] == "bayes" and config["run_cap"] == 30
    assert config["parameters"] == {
        "optimizer.lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3},
        "tuning.frozen_layers": {"distribution": "int_uniform", "min": 0, "max": 6},
    }
    drawn = replace(asked, command=("rag_lightning.train", "-m", "hydra/sweeper=random"))
    assert yaml.safe_load(sweep_yaml(drawn))["method"] == "random"
    with pytest.raises(UserError, match="optimizer.lr is a range, which a grid cannot go through"):
        sweep_yaml(asked, "grid")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("1e-5,3e-5", {"values": [1e-5, 3e-5]}),
        ("range(0,6,2)", {"values": [0, 2, 4]}),
        ("null,true", {"values": ["null", "true"]}),
        ("[a,b],[c]", {"values": ["[a,b]", "[c]"]}),
        ("choice(x,y)", {"values": ["x", "y"]}),
        ("3", {"values": [3]}),
        ("interval(0,1)", {"distribution": "uniform", "min": 0.0, "max": 1.0}),
        ("tag(log,int(interval(1,64)))", {"distribution": "q_log_uniform_values", "q": 1, "min": 1, "max": 64}),
    ],
)
def test_values_and_ranges_for_wandb(typed: str, expected: dict[str, Any]) -> None:
    assert parameter("key", typed) == expected


def test_a_glob_is_the_options_that_it_names() -> None:
    found = parameter("optimizer", "glob(ad*,exclude=adafactor)")["values"]
    assert found == ["adam", "adamw"]


def test_what_cannot_be_read_is_refused_in_words() -> None:
    with pytest.raises(UserError, match="cannot be read"):
        parameter("optimizer.lr", "interval(1,")


RANGES = {
    "a": "tag(log,int(interval(1,64)))", "b": "interval(0,1)", "c": "tag(log,interval(1e-5,1))", "d": "x,y",
    "e": "int(interval(0,6))",
}  # fmt: skip


def test_the_client_has_nothing_to_add_to_the_question(tmp_path: Path) -> None:
    question = read_question(write_sweep(tmp_path / "s", histories=False))
    for swept in (question.swept, RANGES):
        config = yaml.safe_load(sweep_yaml(replace(question, swept=swept)))
        assert _validate_config_and_fill_distribution(config) == config


def test_an_unknown_method_is_refused_in_words(tmp_path: Path, run: Command) -> None:
    folder = write_sweep(tmp_path / "s", histories=False)
    done = run("report", f"sweep={folder}", "wandb_sweep=baye")
    assert done.code == 2 and "wandb_sweep must be" in done.err
