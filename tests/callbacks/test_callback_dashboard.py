"""The W&B dashboard, read back from the offline run's file."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import wandb
from example_run import LABELS, evaluation
from pytorch_lightning.loggers import CSVLogger, WandbLogger
from tiny_fit import QUIET, TinyModule, loader, trainer
from wandb_file import OfflineRun, read_offline_runs

from rag_lightning.callbacks.dashboard import WandbDashboard
from rag_lightning.callbacks.throughput import Throughput
from rag_lightning.errors import UserError
from rag_lightning.report.loggers import close_loggers, start_loggers

pytestmark = QUIET
CONFIG = {"task": {"name": "ner"}, "optimizer": {"lr": 3e-5}, "seed": 7}


def _run(folder: Path, name: str, log_model: bool, fit: bool = True) -> list[str]:
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}")
    logger = WandbLogger(
        name=name,
        save_dir=folder,
        id=f"id-{log_model}".lower(),
        group="sweep",
        project="p",
        tags=["a"],
        notes="n",
    )
    dashboard = WandbDashboard(config=CONFIG, headline="f1", log_model=log_model)
    dashboard.attach([logger])
    if fit:
        loop = trainer(logger=logger, callbacks=[Throughput(), dashboard])
        loop.fit(TinyModule(), loader(), loader())
    dashboard.log_evaluation(evaluation("test"))
    dashboard.log_model_folder(model, {"f1": 0.788})
    return close_loggers([logger])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[OfflineRun, OfflineRun, list[str]]:
    """Two runs in one process: a fit with its model logged, and an evaluation without."""
    folder = tmp_path_factory.mktemp("wandb")
    patch = pytest.MonkeyPatch()
    patch.setenv("WANDB_MODE", "offline")
    for kind in ("CACHE", "DATA", "CONFIG"):
        patch.setenv(f"WANDB_{kind}_DIR", str(folder / kind.lower()))
    said = _run(folder, "ner-größe-lr3e-5", log_model=True)
    _run(folder, "evaluated", log_model=False, fit=False)
    first, second = sorted(read_offline_runs(folder), key=lambda run: str(run.id), reverse=True)  # both of one second
    patch.undo()
    return first, second, said


def test_run_is_named_and_configured(runs: tuple[OfflineRun, OfflineRun, list[str]]) -> None:
    run, other, said = runs
    assert (run.id, run.name, run.group, run.project) == ("id-true", "ner-größe-lr3e-5", "sweep", "p")
    assert run.tags == ["a"]
    assert run.notes == "n"
    assert run.exit_code == 0
    assert {k: run.config[k] for k in CONFIG} == CONFIG
    assert other.id == "id-false"
    assert other.name == "evaluated"
    assert said == [f"The W&B run is stored offline; send it with: wandb sync {run.folder}"]
    assert wandb.run is None


def test_curves(runs: tuple[OfflineRun, OfflineRun, list[str]]) -> None:
    run = runs[0]
    curves = {"train/loss", "lr", "train/grad_norm", "throughput/tokens_per_s", "memory/peak_gb"}
    curves |= {"validation/loss", "validation/f1", "validation/ORT/f1", "trainer/global_step"}
    assert curves <= run.keys()
    assert run.values("validation/ORT/f1") == pytest.approx([0.1, 0.45, 0.2])
    assert len(run.values("train/loss")) == 9


def test_best_values_are_the_summary(runs: tuple[OfflineRun, OfflineRun, list[str]]) -> None:
    run = runs[0]
    assert run.metrics["validation/f1"] == {"max", "last"}
    assert run.metrics["validation/loss"] == {
        "min",
        "last",
    }
    assert run.summary["validation/f1"] == pytest.approx({"max": 0.9, "last": 0.4})
    assert run.summary["best/validation/ORT/f1"] == pytest.approx(0.45)
    assert run.summary["best/validation/loss"] == 0.5
    assert run.summary["final/test/f1"] == 0.788
    assert run.summary["final/test/ORT/f1"] == 0.851


def test_tables_and_confusion(runs: tuple[OfflineRun, OfflineRun, list[str]]) -> None:
    for run in runs[:2]:
        mistakes = run.table("test/mistakes")
        assert mistakes["columns"] == ["id", "text", "gold", "predicted"]
        assert len(mistakes["data"]) == 12
        assert mistakes["data"][0][1:3] == ["Sie sah 東京 | *alles* und <b>`mehr`</b>", "[東京] ORT"]
        confusion = run.table("test/confusion_table")
        assert confusion["columns"] == ["Actual", "Predicted", "nPredictions"]
        assert len(confusion["data"]) == len(LABELS) ** 2
        assert ["I-Größe", "I-Größe", 43] in confusion["data"]
        panel = run.config["_wandb"]["visualize"]["test/confusion"]
        assert panel["panel_config"]["panelDefId"] == "wandb/confusion_matrix/v1"
        assert run.table("test/entities_strict_iob2")["data"][0] == ["ORT", 0.91, 0.8, 0.851, 1668]


def test_model_is_an_artifact_only_when_switched_on(runs: tuple[OfflineRun, OfflineRun, list[str]]) -> None:
    assert runs[0].artifacts_of("model") == [{"name": "model-id-true", "type": "model", "files": ["config.json"]}]
    assert runs[1].artifacts_of("model") == []


def test_silent_without_wandb(tmp_path: Path) -> None:
    dashboard = WandbDashboard(config=CONFIG, log_model=True)
    logger = CSVLogger(tmp_path, name="csv")
    trainer(logger=logger, callbacks=[dashboard], max_epochs=1).fit(TinyModule(), loader(), loader())
    dashboard.log_evaluation(evaluation())
    dashboard.log_model_folder(tmp_path)
    assert close_loggers([logger]) == []
    assert dashboard.state_dict() == {"best": {}}


def test_best_values_survive_an_interruption() -> None:
    dashboard, resumed = WandbDashboard(), WandbDashboard()
    dashboard.load_state_dict({"best": {"validation/f1": 0.9}})
    resumed.load_state_dict(json.loads(json.dumps(dashboard.state_dict())))
    assert resumed.state_dict() == {"best": {"validation/f1": 0.9}}


def test_a_logger_that_cannot_be_closed_keeps_no_other_open(tmp_path: Path, caplog: Any) -> None:
    class Broken(CSVLogger):
        def finalize(self, status: str) -> None:
            raise OSError("disk")

    class Closed(CSVLogger):
        status = ""

        def finalize(self, status: str) -> None:
            self.status = status

    closed = Closed(tmp_path)
    assert close_loggers([Broken(tmp_path), closed, WandbLogger(offline=True)], failed=True) == []
    assert closed.status == "failed"
    assert "Broken could not be closed: disk" in caplog.text
    assert wandb.run is None


def test_not_being_logged_in_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    logger = WandbLogger(save_dir=tmp_path, id="none", project="p")
    with pytest.raises(UserError, match=r"logger\.wandb: .*API key.*offline=true"):
        start_loggers([CSVLogger(tmp_path), logger])
    assert close_loggers([logger], failed=True) == []


def test_offline_of_one_run_does_not_bind_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_lightning.report.loggers._MODE", None)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    logger = WandbLogger(save_dir=tmp_path, id="off", project="p", offline=True)
    start_loggers([logger])
    assert os.environ["WANDB_MODE"] == "dryrun"
    assert "wandb sync" in close_loggers([logger])[0]
    assert "WANDB_MODE" not in os.environ
