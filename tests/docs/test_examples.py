"""Pages that build something: their files are written into a copy of the repository, their commands run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import REPOSITORY, RUN_WHOLE, Typed, blocks, shell_lines, typed

# Of each command what makes it small; the last word on the command line counts.
SMALL = [
    "model=local", "model.name=tiny", "trainer=cpu", "trainer.max_epochs=1", "logger=none",
    "general_text.limit.train=20", "trainer.enable_progress_bar=false", "run.pictures=false",
]  # fmt: skip
RUN_ALL = """
import json, runpy, sys
for module, words in json.load(sys.stdin):
    print("$", module, *words, flush=True)
    sys.argv = [module, *words]
    try:
        runpy.run_module(f"rag_lightning.{module}", run_name="__main__")
    except SystemExit as stop:
        if stop.code:
            raise
"""


def copy_of_the_repository(folder: Path) -> Path:
    for part in ("rag_lightning", "conf"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def files_and_commands(page: Path, folder: Path, model: Path) -> list[tuple[str, list[str]]]:
    """Write the files of a page; its commands, made small."""
    asked: list[Typed] = []
    for block in blocks(page):
        if block.title is not None:
            file = folder / block.title
            assert not file.exists(), f"{block.title} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code, encoding="utf-8")
        elif block.language == "bash":
            asked += [each for line in shell_lines(block.code) if (each := typed(line)) is not None]
    small = [*SMALL, f"model.path={model}"]
    return [(each.module, [*each.words, *(small if each.module == "train" else [])]) for each in asked]


def run_all(commands: list[tuple[str, list[str]]], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN_ALL], input=json.dumps(commands), cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}, capture_output=True, timeout=900,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(RUN_WHOLE))
def test_what_a_page_builds_runs(page: str, tmp_path: Path, tiny_model: Path) -> None:
    folder = copy_of_the_repository(tmp_path)
    commands = files_and_commands(REPOSITORY / page, folder, tiny_model)
    assert len(commands) >= 5
    done = run_all(commands, folder)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    trained = [words for module, words in commands if module == "train" and "dry_run=true" not in words]
    runs = [path for path in (tmp_path / "runs").iterdir() if (path / "metrics.json").is_file()]
    assert len(runs) == len(trained)
    if page == "docs/contributing.md":
        headlines = [json.loads((run / "metrics.json").read_text("utf-8"))["headline"]["name"] for run in runs]
        assert sorted(headlines) == ["accuracy"] * 3 + ["kappa"] * 3  # the new task judged its own


@pytest.mark.slow
def test_what_a_page_adds_passes_the_tests_of_every_yaml(tmp_path: Path, tiny_model: Path) -> None:
    """As the page says: nothing has to be registered, and headers, keys and options are tested at once."""
    folder = copy_of_the_repository(tmp_path)
    shutil.copytree(REPOSITORY / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    files_and_commands(REPOSITORY / "docs" / "contributing.md", folder, tiny_model)
    wanted = "(ticket or grade or child) and (header or every_task or retention_method)"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_every_yaml.py", "-k", wanted],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert "11 passed" in done.stdout  # five headers, four commands, the task, and the method's options
