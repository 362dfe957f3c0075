"""history.jsonl: every logged number once, also across an interruption."""

import json
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from tiny_fit import QUIET, TinyModule, loader, trainer

from rag_lightning.callbacks.history import History
from rag_lightning.callbacks.throughput import Throughput
from rag_lightning.report.history import read_history

pytestmark = QUIET


class StopAt(Callback):
    """As if the process were killed at a step, before that step's values are logged."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_one_row_a_step_with_all_that_was_logged(tmp_path: Path) -> None:
    fit = trainer(callbacks=[History(tmp_path), Throughput()], max_epochs=2)
    fit.fit(TinyModule(), loader(), loader())
    rows = _rows(tmp_path)
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10, 12]
    assert [round(row["epoch"], 3) for row in rows] == [0.333, 0.667, 1.0, 1.333, 1.667, 2.0]
    assert {"train/loss", "train/grad_norm", "lr", "throughput/tokens_per_s", "memory/peak_gb"} <= set(rows[0])
    assert rows[2]["validation/f1"] == pytest.approx(0.2)
    assert rows[5]["validation/ORT/f1"] == pytest.approx(0.45)
    assert fit.loggers == []


def test_loggers_of_the_user_and_monitors_are_heard_too(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="csv")
    fit = trainer(callbacks=[History(tmp_path), LearningRateMonitor("step")], logger=logger, max_epochs=1)
    fit.fit(TinyModule(), loader(), loader())
    assert fit.loggers == [logger]
    assert any("lr-SGD" in row for row in _rows(tmp_path))
    assert "train/loss" in (tmp_path / "csv" / "version_0" / "metrics.csv").read_text()


@pytest.mark.parametrize("every", [1, 3, 5])
def test_resumed_run_has_the_rows_of_an_uninterrupted_one(tmp_path: Path, every: int) -> None:
    options: dict[str, Any] = {"log_every_n_steps": 1, "enable_checkpointing": True, "max_epochs": 2}

    def fit(folder: Path, *more: Callback, resume: str | None = None) -> None:
        save = ModelCheckpoint(folder / "ckpt", every_n_train_steps=every, save_last=True, save_top_k=-1)
        torch_trainer = trainer(callbacks=[History(folder), save, *more], **options)
        torch_trainer.fit(TinyModule(), loader(), loader(), ckpt_path=resume)

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fit(whole)
    with pytest.raises(RuntimeError, match="killed"):
        fit(cut, StopAt(8))
    before = [row["step"] for row in _rows(cut)]
    assert before == list(range(1, 8))
    with (cut / "history.jsonl").open("a") as file:
        file.write('{"step": 8, "epo')  # cut off while writing
    fit(cut, resume=str(cut / "ckpt" / "last.ckpt"))
    steps = [row["step"] for row in _rows(cut)]
    assert steps == [row["step"] for row in _rows(whole)] == list(range(1, 13))
    assert set(_rows(cut)[5]) == set(_rows(whole)[5])


def test_a_fresh_start_drops_the_former_run(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('{"step": 2, "epoch": 9, "train/loss": 1}\n{"step": 900, "epoch": 99}\n')
    trainer(callbacks=[History(tmp_path)], max_epochs=1).fit(TinyModule(), loader(), loader())
    assert [row["step"] for row in read_history(tmp_path / "history.jsonl")] == [2, 4, 6]
    assert _rows(tmp_path)[0]["epoch"] < 1


def test_a_full_disk_costs_the_curve_and_not_the_run(tmp_path: Path) -> None:
    history = History(tmp_path / "run")
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="cannot be written"):
        trainer(callbacks=[history], max_epochs=1).fit(TinyModule(), loader(), loader())


def test_nan_is_written_as_null(tmp_path: Path) -> None:
    module = TinyModule(scores=(float("nan"),))
    trainer(callbacks=[History(tmp_path)], max_epochs=1).fit(module, loader(), loader())
    assert _rows(tmp_path)[-1]["validation/f1"] is None
