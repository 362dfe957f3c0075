"""Runs of every exported kind of answer, made once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_runs import runs


@pytest.fixture(scope="package")
def run_of(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Kind of answer -> the folder of a finished run."""
    return runs(tiny_model, tmp_path_factory.mktemp("exported"))
