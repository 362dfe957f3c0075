"""Fixtures for the data tests: real data where they are, a writer of small files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rag_lightning.data.options import DataConfig

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


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and models; the test is skipped where it is not."""
    folder = Path(os.environ.get("RAG_LIGHTNING_SHARED", Path(__file__).parents[3] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("the folder of real data is not there (RAG_LIGHTNING_SHARED)")
    return folder


@pytest.fixture
def data_config() -> Callable[..., DataConfig]:
    """A config as ``conf/data/<format>.yaml`` with changes."""

    def build(format: str = "conll", **changes: Any) -> DataConfig:
        return conf_of(format, **changes)

    return build


def conf_of(name: str, **changes: Any) -> DataConfig:
    import yaml

    folder = Path(__file__).parents[2] / "conf" / "data"
    values = yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8"))
    if "fields" in changes:
        changes["fields"] = values["fields"] | changes["fields"]
    return DataConfig(**(values | {key: str(v) if isinstance(v, Path) else v for key, v in changes.items()}))
