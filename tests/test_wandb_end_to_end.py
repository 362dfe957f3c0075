"""``logger=wandb`` on a real run, offline, read back from the file that W&B wrote."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_server import closed_port
from tiny import tiny_overrides, write_small_data
from wandb_file import OfflineRun, read_offline_runs

from rag_lightning.errors import UserError
from rag_lightning.train import train
from rag_lightning.training.run import RunResult


@pytest.fixture(scope="module")
def two(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[OfflineRun], list[RunResult]]:
    """Two runs of one process, the second with its model as artifact."""
    root = tmp_path_factory.mktemp("wandb")
    data = write_small_data(root / "data")
    results = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("plot_curves", "plot_confusion"):
            patch.setattr(f"rag_lightning.report.write.{name}", lambda *_, **__: None)
        for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_API_KEY"):
            patch.delenv(name, raising=False)
        wandb = ["logger=wandb", "logger.wandb.offline=true"]
        other = ["seed=4", "logger.wandb.log_model=true", "logger.wandb.tags=[a,b]", "run.group=sweep"]
        for more in (["seed=3"], other):
            results.append(train(tiny_overrides(tiny_model, data, root / "runs", *wandb, *more)))
    found = [run for result in results for run in read_offline_runs(result.folder)]
    return found, results


def test_each_run_is_one_run_of_wandb_named_by_what_it_is(two: tuple[list[OfflineRun], list[RunResult]]) -> None:
    runs, results = two
    assert len(runs) == 2
    for run, result, seed in zip(runs, results, (3, 4), strict=True):
        assert run.id == json.loads((result.folder / "metrics.json").read_text())["fingerprint"]
        assert f"seed={seed}" in run.name
        assert run.exit_code == 0
        assert run.project == "rag_lightning"
        assert run.config["seed"] == seed
        assert run.config["optimizer"]["lr"] == 1e-3
        assert run.config["data"]["name"] == "conll"
        assert run.config["model"]["name"] == "tiny"
    assert [run.group for run in runs] == ["ner", "sweep"]
    assert runs[1].tags == ["a", "b"]


def test_the_curves(two: tuple[list[OfflineRun], list[RunResult]]) -> None:
    for run in two[0]:
        wanted = {"train/loss", "lr", "train/grad_norm", "throughput/tokens_per_s", "memory/peak_gb"}
        wanted |= {f"validation/{kind}/f1" for kind in ("PER", "LOC", "ORG")} | {"validation/f1", "validation/loss"}
        assert wanted <= run.keys()
        assert len(run.values("train/loss")) >= 8
        assert len(run.values("validation/f1")) >= 2
        assert all(value > 0 for value in run.values("throughput/tokens_per_s"))
        rates = run.values("lr")
        assert max(rates) > rates[-1] >= 0


def test_the_results(two: tuple[list[OfflineRun], list[RunResult]]) -> None:
    for run, result in zip(*two, strict=True):
        for name in ("f1", "PER/f1", "token/macro_f1"):
            assert run.summary[f"final/test/{name}"] == pytest.approx(result.metrics[f"test/{name}"])
        rows = [json.loads(line) for line in (result.folder / "predictions.jsonl").read_text("utf-8").splitlines()]
        wrong = [row for row in rows if row["gold"] != row["predicted"]]
        mistakes = run.table("test/mistakes")
        assert mistakes["columns"] == ["id", "text", "gold", "predicted"]
        assert [line[0] for line in mistakes["data"]] == [row["id"] for row in wrong]
        confusion = run.table("test/confusion_table")
        assert sum(line[2] for line in confusion["data"]) == sum(len(row["gold"]) for row in rows)


def test_the_model_is_an_artifact_only_when_asked_for(two: tuple[list[OfflineRun], list[RunResult]]) -> None:
    without, with_model = two[0]
    assert without.artifacts_of("model") == []
    [artifact] = with_model.artifacts_of("model")
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(artifact["files"])


def test_how_to_send_it_is_said(
    tiny_run: Callable[..., list[str]], no_pictures: None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("WANDB_MODE", "offline")  # the other way to ask for it
    result = train(tiny_run("logger=wandb", "trainer.max_epochs=1"))
    said = capsys.readouterr().out
    assert "The W&B run is stored offline; send it with: wandb sync " in said
    [folder] = (result.folder / "wandb").glob("offline-run-*")
    assert str(folder) in said


@pytest.fixture
def online(
    tiny_run: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[str, float]]:
    """What is said, and after how long, when W&B cannot be used; the environment holds no account."""
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def refused(*more: str, **environment: Any) -> tuple[str, float]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        began = time.monotonic()
        with pytest.raises(UserError) as caught:
            train(tiny_run("logger=wandb", *more))
        return str(caught.value), time.monotonic() - began

    return refused


def test_without_an_account_it_is_told_at_once(online: Callable[..., tuple[str, float]], tmp_path: Path) -> None:
    said, took = online()
    assert said.startswith("logger.wandb: W&B could not start a run (No API key configured")
    assert "logger.wandb.offline=true" in said
    assert took < 15
    assert not list((tmp_path / "runs").rglob("*.ckpt"))


@pytest.mark.slow
def test_without_network_it_is_told_soon(online: Callable[..., tuple[str, float]]) -> None:
    said, took = online("logger.wandb.settings.init_timeout=3", WANDB_BASE_URL=closed_port(), WANDB_API_KEY="a" * 40)
    assert said.startswith("logger.wandb: the W&B server cannot be reached")
    assert "logger.wandb.offline=true" in said
    assert took < 25
