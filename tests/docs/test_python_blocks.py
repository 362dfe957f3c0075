"""Python code of the pages: all of it parses and imports what there is; what is marked ``<!-- run: TASK -->`` is run.

``RUN_FOLDER`` in it is then the folder of a tiny run of that task, and ``train`` trains as tinily.
"""

import ast
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import PAGES, name_of

from rag_lightning.train import train

_MARKED = re.compile(r"^<!-- run: (\w+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ALL = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def found(pattern: re.Pattern[str]) -> list[Any]:
    """Every block once, with the first page that shows it."""
    blocks: dict[Any, Any] = {}
    for page in PAGES:
        for each in pattern.findall(page.read_text(encoding="utf-8")):
            blocks.setdefault(each, pytest.param(each, id=f"{name_of(page)}-{len(blocks)}"))
    return list(blocks.values())


@pytest.mark.parametrize("code", found(_ALL))
def test_it_parses_and_imports_what_there_is(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rag_lightning"):
            module = importlib.import_module(node.module or "")
            missing = [name.name for name in node.names if not hasattr(module, name.name)]
            assert not missing or all(importlib.util.find_spec(f"{node.module}.{name}") for name in missing), missing


@pytest.mark.parametrize("marked", found(_MARKED))
def test_what_is_marked_runs(
    marked: tuple[str, str], tiny_run: Callable[..., list[str]], no_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, code = marked
    small = tiny_run(f"task={task}", "trainer.max_epochs=1", "trainer.enable_progress_bar=false")

    def small_train(overrides: list[str]) -> Any:
        return train([*overrides, *(word for word in small if not word.startswith("optimizer."))])

    if "RUN_FOLDER" in code:
        code = code.replace("RUN_FOLDER", Path(train(small).folder).as_posix())
    monkeypatch.setattr("rag_lightning.train.train", small_train)
    exec(compile(code, "documentation", "exec"), {})
