"""Fixtures of the template tests."""

from pathlib import Path

import pytest
from template_example import KNOWLEDGE


@pytest.fixture
def knowledge(tmp_path: Path) -> Path:
    """A file of terms and what is known of them."""
    file = tmp_path / "knowledge.csv"
    file.write_text(KNOWLEDGE, encoding="utf-8")
    return file
