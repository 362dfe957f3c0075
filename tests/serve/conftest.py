"""Servers of tiny runs, in this process or as a process of their own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tiny_runs import runs

from rag_lightning.serve.app import Server, make_app
from rag_lightning.serve.options import BatchOptions, LimitOptions
from rag_lightning.serve.runs import ServedRun, load_runs

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="package")
def run_of(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Kind of answer -> the folder of a finished run."""
    return runs(tiny_model, tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="package")
def served(run_of: Callable[[str], Path]) -> Callable[..., dict[str, ServedRun]]:
    """Kinds of answers -> loaded runs, each by its kind; loaded once."""
    loaded: dict[str, ServedRun] = {}

    def load(*kinds: str) -> dict[str, ServedRun]:
        for kind in kinds:
            if kind not in loaded:
                [loaded[kind]] = load_runs([str(run_of(kind))], 4096, "cpu").values()
                loaded[kind].name = kind
        return {kind: loaded[kind] for kind in kinds}

    return load


Client = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture
def client(served: Callable[..., dict[str, ServedRun]]) -> Client:
    """A client of a server of these kinds; options of batches and limits by name, ``token`` for one."""

    @contextmanager
    def open_client(*kinds: str, token: str | None = None, **options: Any) -> Iterator[TestClient]:
        batch = BatchOptions(**{k[6:]: v for k, v in options.items() if k.startswith("batch_")})
        limits = LimitOptions(**{k: v for k, v in options.items() if not k.startswith("batch_")})
        server = Server(served(*kinds), batch, limits)
        with TestClient(make_app(server, token), raise_server_exceptions=False) as found:
            found.server = server  # type: ignore[attr-defined]
            yield found

    return open_client


@pytest.fixture
def process(run_of: Callable[[str], Path]) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """A server as typed; the process and its address."""
    started: list[subprocess.Popen[str]] = []

    def start(*kinds: str, overrides: tuple[str, ...] = (), **environment: str) -> tuple[subprocess.Popen[str], str]:
        folders = ",".join(str(run_of(kind)) for kind in kinds)
        done = subprocess.Popen(
            [sys.executable, "-m", "rag_lightning.serve", f"run=[{folders}]", "port=0", "device=cpu", *overrides],
            cwd=REPOSITORY, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(done)
        assert done.stdout is not None
        told = ""
        for line in done.stdout:
            told += line
            if found := re.search(r"http://\S+:\d+", line):
                return done, found[0]
        raise AssertionError(told)

    yield start
    for one in started:
        if one.poll() is None:
            one.send_signal(signal.SIGKILL)
        one.wait(10)
        if one.stdout is not None:
            one.stdout.close()
