"""Every rule file that comes along: sound, without remarks, quick to read, and as good as its header says."""

from pathlib import Path

import pytest

from rag_lightning.config.compose import compose
from rag_lightning.config.paths import conf_dir
from rag_lightning.config.validate import to_plain
from rag_lightning.data.load import load_split
from rag_lightning.data.options import DataConfig
from rag_lightning.rules.analysis import joint_table, labelled
from rag_lightning.rules.command import rules_origin
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.load import load_rules, read_rules
from rag_lightning.rules.ruleset import RuleSet
from rag_lightning.rules.showing import remarks
from rag_lightning.tasks.ner import NerOptions, prepare

FILES = sorted(path for path in (conf_dir() / "rules").glob("*.yaml") if path.stem != "none")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_it_is_sound_and_composes_to_the_same(file: Path) -> None:
    ruleset = read_rules(file)
    assert ruleset.description
    assert all(info.description for info in ruleset.labels.values())
    assert {rule.label for rule in ruleset.rules if rule.label} <= set(ruleset.labels)
    i_is_no_name = "'common_starts' has entries of one character: I."
    meant = ("different labels", "knows ASCII letters only", i_is_no_name)
    assert [note for note in remarks(ruleset) if not any(part in note for part in meant)] == []
    config = compose("rules", [f"rules={file.stem}", "command=check"])
    assert rules_origin(config) == file
    composed = load_rules(to_plain(config)["rules"], file)
    assert composed == ruleset
    assert load_rules(ruleset.node) == ruleset


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_it_takes_any_text(file: Path) -> None:
    engine = RuleEngine(read_rules(file))
    for text in ("", " ", "\ufeff", "Ada", "北京 在 Berlin , العربية . 👍", "A " * 500, '"' * 50):
        assert all(0 <= hit.start < hit.end <= len(text) for hit in engine.apply_text(text))
        assert all(hit.end <= len(text.split()) for hit in engine.apply_tokens(text.split()))


def test_no_rules_compose_to_none() -> None:
    config = compose("rules", ["command=check"])
    assert load_rules(to_plain(config)["rules"], rules_origin(config)) == RuleSet(
        fingerprint=load_rules({}).fingerprint
    )


def test_the_news_rules_alone_find_half_of_the_names(shared: Path) -> None:
    path = shared / "data" / "conll2003"
    if not path.is_dir():
        pytest.skip("no CoNLL-2003")
    ruleset = read_rules(conf_dir() / "rules" / "news_ner.yaml")
    records = load_split(DataConfig(name="conll2003", format="conll", path=str(path)), "train").splits["train"][::7]
    records = prepare({"train": records}, NerOptions()).splits["train"]
    examples = [labelled(record, "tags") for record in RuleEngine(ruleset).annotate(records)]
    f1 = {str(row[0]): float(row[3]) for row in joint_table(examples, ruleset).rows}
    assert f1["all"] >= 0.7
    assert min(f1.values()) >= 0.6
