"""What ``check`` and ``try`` print."""

import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from rag_lightning.report.terminal import make_console, print_evaluation
from rag_lightning.rules.engine import RuleEngine
from rag_lightning.rules.hits import Hit
from rag_lightning.rules.resolve import aggregate_label, aggregate_spans
from rag_lightning.rules.ruleset import Rule, RuleSet
from rag_lightning.rules.units import units
from rag_lightning.tasks.evaluation import Evaluation, Table
from rag_lightning.tasks.spans import words_with_offsets

_COLOURS = ("green", "cyan", "magenta", "yellow", "blue", "red", "bright_green", "bright_cyan", "bright_magenta")


def show(title: str, tables: Sequence[Table], notes: Sequence[str] = ()) -> None:
    """Tables on the terminal, as a run prints them."""
    print_evaluation(Evaluation(title, {}, "", tables=tuple(tables), notes=list(notes)))


def check(ruleset: RuleSet, name: str) -> None:
    """Say what a sound rule file holds, and what in it may not be meant."""
    own = {lexicon: entry for lexicon, entry in ruleset.lexicons.items() if "\0" not in lexicon}
    labels = Table(
        "Labels",
        ("label", "name", "description", "examples"),
        tuple((k, info.name, info.description, ", ".join(info.examples)) for k, info in ruleset.labels.items()),
    )
    lexicons = Table(
        "Lexicons",
        ("lexicon", "entries", "case", "such as"),
        tuple((k, len(lex.entries), lex.case, _some(lex.entries)) for k, lex in own.items()),
    )
    rules = Table(
        "Rules",
        ("rule", "finds", "votes", "priority"),
        tuple((rule.name, _finds(rule), _votes(rule), rule.priority) for rule in ruleset.rules),
        f"conflict: {ruleset.conflict}; fingerprint {ruleset.fingerprint[:16]}",
    )
    tables = [table for table in (labels, lexicons, rules) if table.rows]
    show(f"{name} is sound", tables, remarks(ruleset))


def remarks(ruleset: RuleSet) -> list[str]:
    """Sentences about what is allowed and probably not meant."""
    notes = []
    asked = {lexicon for rule in ruleset.rules for lexicon in (*rule.lexicons, *_in_conditions(rule))}
    for name, lexicon in ruleset.lexicons.items():
        if name not in asked:
            notes.append(f"The lexicon {name!r} is used by no rule.")
        if "\0" not in name and (short := [e for e in lexicon.entries if len(e) == 1 and e.isascii()]):
            notes.append(f"The lexicon {name!r} has entries of one character: {_some(short)}. See min_length.")
    voted = {label for rule in ruleset.rules if not rule.veto for label in rule.labels}
    for label in ruleset.labels:
        if ruleset.rules and label not in voted:
            notes.append(f"No rule votes for {label!r}.")
    for rule in ruleset.rules:
        if rule.pattern is not None and r"\b" in rule.pattern[2:-2] and not rule.pattern.isascii():
            notes.append(
                f"The pattern of {rule.name!r} has \\b inside, which knows ASCII letters only. At its ends it is not "
                "needed: hits are whole words."
            )
    return notes + _shared_entries(ruleset)


def try_texts(ruleset: RuleSet, text: str | None) -> None:
    """Show what the rules find in a text, or in each line of standard input."""
    engine, console = RuleEngine(ruleset), make_console()
    colours = {label: _COLOURS[number % len(_COLOURS)] for number, label in enumerate(ruleset.labels)}
    for line in [text] if text is not None else _lines():
        _show_text(line, engine, colours, console)


def _show_text(text: str, engine: RuleEngine, colours: dict[str, str], console: Console) -> None:
    ruleset = engine.ruleset
    words = words_with_offsets(text)
    offsets = [(start, end) for _, start, end in words]
    stretches = aggregate_spans(engine.apply_tokens([word for word, _, _ in words]), ruleset)
    shown, done = Text(), 0
    for first, after, label in stretches:
        start, end = offsets[first][0], offsets[after - 1][1]
        shown.append(text[done:start])
        shown.append(f"[{text[start:end]} ", f"bold {colours[label]}")
        shown.append(f"{label}]", colours[label])
        done = end
    shown.append(text[done:])
    console.print(shown, soft_wrap=True)
    hits = engine.apply_text(text)
    for hit in hits:
        console.print(_hit_line(text, hit, colours), soft_wrap=True)
    if not hits:
        console.print(Text("  no rule finds anything", "dim"))
    elif any(hit.label is not None for hit in hits):
        answer = aggregate_label(hits, ruleset) or "none (a tie, or only vetoes)"
        console.print(
            Text(f"  label of the whole text (conflict: {ruleset.conflict}): {answer}", "dim"), soft_wrap=True
        )


def _hit_line(text: str, hit: Hit, colours: dict[str, str]) -> Text:
    line = Text("  ")
    line.append(text[hit.start : hit.end], "bold")
    if hit.label is not None:
        line.append(f"  {'never ' if hit.veto else ''}{hit.label}", colours[hit.label])
    line.append(f"  rule {hit.rule}" + (f", priority {hit.priority}" if hit.priority else ""), "dim")
    return line


def _lines() -> Iterator[str]:
    return (line.rstrip("\r\n") for line in sys.stdin if line.strip())


def _finds(rule: Rule) -> str:
    what = rule.pattern if rule.pattern is not None else f"entries of {', '.join(rule.lexicons)}"
    more = ["grown" if rule.expand else "", f"{rule.min_hits} at least" if rule.min_hits > 1 else ""]
    return "; ".join([what, *filter(None, more)])


def _votes(rule: Rule) -> str:
    labels = "/".join(rule.labels)
    return f"never {labels}" if rule.veto else labels or "a mark only"


def _some(entries: Sequence[str]) -> str:
    return ", ".join(entries[:4]) + (" …" if len(entries) > 4 else "")


def _in_conditions(rule: Rule) -> list[str]:
    found = []
    for asked in (rule.when, rule.unless):
        found += [near.lexicon for near in (asked.preceded_by, asked.followed_by) if near is not None]
        found += [asked.text_has] if asked.text_has is not None else []
    return found


def _shared_entries(ruleset: RuleSet) -> list[str]:
    """Entries by which rules of one priority vote for different labels."""
    votes: dict[tuple[str, int], dict[str, str]] = {}
    for rule in ruleset.rules:
        if rule.label is None or rule.veto:
            continue
        for lexicon in rule.lexicons:
            for entry in ruleset.lexicons[lexicon].entries:
                key = " ".join(unit for unit, _, _ in units(entry)).casefold()
                votes.setdefault((key, rule.priority), {})[rule.label] = entry
    shared = [next(iter(labels.values())) for labels in votes.values() if len(labels) > 1]
    if not shared:
        return []
    number = f"{len(shared):,} entr{'y votes' if len(shared) == 1 else 'ies vote'}"
    return [f"{number} for different labels with the same priority: {_some(shared)}."]
