"""What is written about the variants is what they do."""

import re
from pathlib import Path

import pytest
from template_example import FOLDER, VARIANTS, rendered_form, variant

DOCS = Path(__file__).parents[2] / "docs" / "templates.md"


@pytest.mark.parametrize("name", VARIANTS)
def test_the_header_shows_the_rendered_form(name: str, knowledge: Path) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert f"# Rendered: {rendered_form(name, knowledge)}" in lines


def test_the_table_of_the_documentation_is_complete_and_true(knowledge: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \| `(.*?)` \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: (text, form) for name, text, form in rows} == {
        name: (variant(name).text, rendered_form(name, knowledge)) for name in VARIANTS
    }
