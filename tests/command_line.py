"""A command as typed, run in this process: its exit code and what it printed."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rag_lightning import compare, evaluate, label_efficiency, predict, sequence, train
from rag_lightning.export import __main__ as export
from rag_lightning.monitor import __main__ as monitor
from rag_lightning.probe import __main__ as probe
from rag_lightning.report import __main__ as report
from rag_lightning.rules import __main__ as rules
from rag_lightning.serve import __main__ as serve

MAINS = {
    "train": train.main,
    "evaluate": evaluate.main,
    "predict": predict.main,
    "label_efficiency": label_efficiency.main,
    "compare": compare.main,
    "sequence": sequence.main,
    "rules": rules.main,
    "probe": probe.main,
    "report": report.main,
    "monitor": monitor.main,
    "export": export.main,
    "serve": serve.main,
}


@dataclass(frozen=True)
class Outcome:
    """What a command left behind; ``code`` is 0 where it returned."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """``run("train", "task=ner", …)`` as the module's ``main`` does it."""

    def run(name: str, *arguments: str) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        try:
            MAINS[name]()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
