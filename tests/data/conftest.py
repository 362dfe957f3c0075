"""Fixtures for the data tests: a writer of small files, and configs as users get them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_yaml import composed

from rag_lightning.data.fields import for_task
from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import TAGGED_TOKENS

Writer = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a file in a folder of its own for this test."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def data_config() -> Callable[..., DataConfig]:
    """A config as ``conf/data/<name>.yaml`` with changes; ``fields`` are merged."""

    def build(name: str = "conll", **changes: Any) -> DataConfig:
        values = composed(name)
        if "fields" in changes:
            changes["fields"] = values["fields"] | changes["fields"]
        changes = {key: str(value) if isinstance(value, Path) else value for key, value in changes.items()}
        return DataConfig(**(values | changes))

    return build


@pytest.fixture
def tokens_config(data_config: Callable[..., DataConfig]) -> Callable[..., DataConfig]:
    """As ``data_config``, with the fields that a task of tokens and tags reads: what readers are given for it."""
    return lambda name="conll", **changes: for_task(data_config(name, **changes), TAGGED_TOKENS)
