"""Progress: plain lines in a log, a bar on a terminal."""

import re

import pytest
from tiny_fit import QUIET, TinyModule, loader, trainer

from rag_lightning.callbacks.progress import Progress
from rag_lightning.callbacks.throughput import Throughput

pytestmark = QUIET
EPOCH = re.compile(
    r"epoch (\d)/3  train loss \d+\.\d{4}  validation f1 (0\.\d{3})  [\d,]+ tokens/s  "
    r"[\d.]+ s(  eta [\d.]+ s)?"
)


def _output(capsys: pytest.CaptureFixture[str], progress: Progress) -> str:
    capsys.readouterr()
    fit = trainer(callbacks=[Throughput(), progress], enable_progress_bar=True)
    fit.fit(TinyModule(), loader(), loader())
    return capsys.readouterr().out


def test_a_plain_line_an_epoch_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    output = _output(capsys, Progress())
    assert "\x1b" not in output
    assert "\r" not in output
    matches = [EPOCH.fullmatch(line) for line in output.splitlines() if line.startswith("epoch")]
    assert [m and (m[1], m[2]) for m in matches] == [("1", "0.200"), ("2", "0.900"), ("3", "0.400")]
    assert [bool(m and m[3]) for m in matches] == [True, True, False]


def test_lines_within_a_long_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    output = _output(capsys, Progress(every_seconds=0.0))
    assert "epoch 1/3  step 1  train loss" in output
    assert "epoch 2/3  step 12" in output


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(bar=True)
    output = _output(capsys, progress)
    assert "Epoch 2/2" in output
    assert "6/6" in output
    assert "tokens/s" in output
    assert "v_num" not in output
    assert not any(line.startswith("epoch") for line in output.splitlines())
