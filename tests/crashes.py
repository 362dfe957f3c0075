"""A run that breaks off at a step, and what tells whether it came to the same end."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag_lightning.training.resume import ResumePoints


class Crash(RuntimeError):
    """A power cut, as far as the run can tell."""


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


def crash_after(monkeypatch: pytest.MonkeyPatch, step: int, what: Callable[[], None]) -> None:
    """Do ``what`` once, when that many batches are done (and after any saving at that point)."""
    original, seen = ResumePoints.on_train_batch_end, [0]

    def counted(self: ResumePoints, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        seen[0] += 1
        if seen[0] == step:
            what()

    monkeypatch.setattr(ResumePoints, "on_train_batch_end", counted)


def fail() -> None:
    raise Crash("power cut")
