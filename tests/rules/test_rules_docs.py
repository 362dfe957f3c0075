"""docs/rules.md says what is: its example works, and every key is explained."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from rag_lightning.rules import schema
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.load import load_rules
from rag_lightning.rules.packages import _LISTS
from rag_lightning.rules.places import read_yaml
from rag_lightning.rules.resolve import aggregate_label
from rag_lightning.rules.showing import remarks

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
SPECS = [schema.RulesSpec, schema.LabelSpec, schema.LexiconSpec, schema.RuleSpec, schema.ExpandSpec,
         schema.ConditionSpec, schema.NeighbourSpec]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("My Debit Cards have not arrived", "card"),
        ("Please use DE12 3456 7890 1234 5678 90 and not my card", "transfer"),
        ("A payment by card that I did not make", "fraud"),
        ("What is card fraud?", "card"),
        ("Hello", None),
    ],
)
def test_the_first_rule_file_works(text: str, label: str | None) -> None:
    block = re.search(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    assert block
    ruleset = load_rules(read_yaml(block[1], "docs/rules.md")[0])
    assert remarks(ruleset) == []
    assert aggregate_label(RuleEngine(ruleset).apply_text(text), ruleset) == label


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_every_key_is_explained_and_described(spec: type[BaseModel]) -> None:
    for name, field in spec.model_fields.items():
        key = field.alias or name
        assert re.search(rf"`{key}`|\b{key}: ", DOCS), key
        assert field.description or spec is schema.NeighbourSpec, key


def test_every_list_of_a_package_is_named() -> None:
    for name in _LISTS:
        assert f"`{name}`" in DOCS or f"`.{name.partition('.')[2]}`" in DOCS, name
