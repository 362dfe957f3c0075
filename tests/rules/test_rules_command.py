"""``python -m rag_lightning.rules`` as typed."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from command_line import Command, Outcome

Run = Callable[..., Outcome]
RULES = """
labels: {pos: praise, neg: blame}
lexicons:
  good: [good, fine]
  bad: [bad, fine]
  unused: [x]
rules:
  good: {lexicon: good, label: pos}
  bad: {lexicon: bad, label: neg}
"""


@pytest.fixture
def rules(run: Command) -> Run:
    """``rules("check", …)`` as typed."""
    return partial(run, "rules")


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(RULES)
    return f"path={path}"


def test_check_says_what_a_file_holds_and_what_may_not_be_meant(rules: Run, mine: str) -> None:
    outcome = rules("check", mine)
    assert outcome.code == 0, outcome.err
    assert "mine.yaml is sound" in outcome.out
    assert "praise" in outcome.out and "entries of good" in outcome.out
    assert "The lexicon 'unused' is used by no rule." in outcome.out
    assert "has entries of one character: x" in outcome.out
    assert "1 entry votes for different labels with the same priority: fine." in outcome.out


def test_check_names_the_place_of_a_mistake(rules: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("rules:\n  a: {patern: x}\n")
    outcome = rules("check", f"path={tmp_path}/bad.yaml")
    assert outcome.code == 2
    assert outcome.err == f"error: {tmp_path}/bad.yaml:2:7: unknown key 'patern'. Did you mean pattern?\n"


def test_try_shows_what_is_found_in_any_text(rules: Run, mine: str) -> None:
    outcome = rules("try", mine, "text=Good, \"bad\" ${x} [b] 'good'!")
    assert outcome.code == 0, outcome.err
    assert "[Good pos], \"[bad neg]\" ${x} [b] '[good pos]'!" in outcome.out
    assert "bad  neg  rule bad" in outcome.out
    assert "label of the whole text (conflict: priority): pos" in outcome.out
    assert "no rule finds anything" in rules("try", mine, "text=hello").out


def test_try_reads_lines(rules: Run, mine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", iter(["good\r\n", "\n", "bad\n"]))
    assert rules("try", mine).out.count("label of the whole text") == 2


ALL_IN_TRAIN = ("data.split.validation=0", "data.split.test=0")


def test_report_measures_texts(rules: Run, mine: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("text,label\ngood day,pos\nbad day,neg\nvery good,neg\nnothing,pos\n")
    outcome = rules("report", mine, "task=classification", "data=csv", f"data.path={tmp_path}/d.csv", *ALL_IN_TRAIN)
    assert outcome.code == 0, outcome.err
    row = next(line.split() for line in outcome.out.splitlines() if line.startswith(" good "))
    assert row == ["good", "pos", "2", "0.500", "0.000", "0.000", "0.500", "0.500", "0.500"]
    assert "very [good]" in outcome.out
    assert "the rules say nothing about 1 of 4 examples" in outcome.out


def test_report_measures_entities(rules: Run, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("rules: {a: {pattern: 'Ada', label: PER}, b: {pattern: 'Rome', label: LOC}}")
    (tmp_path / "d.conll").write_text("Ada B-PER\nsaw O\nRome O\n\nRome B-LOC\n\n")
    outcome = rules("report", f"path={tmp_path}/r.yaml", "data=conll", f"data.path={tmp_path}/d.conll", *ALL_IN_TRAIN)
    assert outcome.code == 0, outcome.err
    row = next(line.split() for line in outcome.out.splitlines() if line.startswith(" b "))
    assert row == ["b", "LOC", "2", "1.000", "0.000", "0.000", "0.500", "1.000", "0.667"]
    assert "Ada saw [Rome]" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chek"], "there is no command 'chek'. Did you mean check?"),
        (["check"], "no rules are named. Add path=FILE.yaml, or rules=NAME."),
        (["check", "rules=nonne"], "no rules named 'nonne'. Did you mean rules=none?"),
        (["check", "pth=x"], "unknown key 'pth'. Did you mean path?"),
        (["check", "+rules.rules.a.patern=x"], "rules.rules.a.patern: unknown key 'patern'. Did you mean pattern?"),
        (["path=x"], "command is needed"),
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str], said: str, rules: Run) -> None:
    outcome = rules(*arguments)
    assert outcome.code == 2
    assert said in outcome.err


def test_report_keeps_away_from_what_training_will_be_tested_on(rules: Run, mine: str, tmp_path: Path) -> None:
    rows = "".join(f"Das Wetter ist schön {i},{'pos' if i % 2 else 'neg'}\n" for i in range(40))
    (tmp_path / "d.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    words = ("report", mine, "task=classification", "data=csv", f"data.path={tmp_path}/d.csv", "data.split.test=0.5")
    assert "of 14 examples" in " ".join(rules(*words).out.split())
    assert "of 8 examples" in " ".join(rules(*words, "data.shots=8").out.split())


def test_report_needs_labelled_data(rules: Run, mine: str, tmp_path: Path) -> None:
    assert "report needs labelled examples" in rules("report", mine).err
    (tmp_path / "d.csv").write_text("text,label\na,pos\nb,bad\n")
    outcome = rules("report", mine, "task=classification", "data=csv", f"data.path={tmp_path}/d.csv", *ALL_IN_TRAIN)
    assert "names the label 'neg', which the data do not have. The data have: bad, pos." in outcome.err


def test_help_tells_the_commands(rules: Run) -> None:
    for arguments in ([], ["--help"]):
        out = rules(*arguments).out
        assert "rag_lightning.rules check path=mine.yaml" in out and "limit: null" in out


def test_rules_need_no_torch() -> None:
    code = (
        "import sys, rag_lightning.rules.engine, rag_lightning.rules.load, rag_lightning.rules.showing as s\n"
        "from rag_lightning.rules.load import load_rules\n"
        "s.try_texts(load_rules({'rules': {'a': {'pattern': 'x', 'label': 'Y'}}}), 'x')\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
