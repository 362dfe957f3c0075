"""How good each rule is on labelled examples, alone and beside the others.

Coverage, overlaps and conflicts as in snorkel's ``LFAnalysis`` (Ratner et al., "Snorkel: rapid training data creation
with weak supervision", VLDB 2017): shares of the examples. Precision, recall and F1 treat a rule as a classifier: for
tokens an entity counts if its label and both ends are right, for texts the label counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rag_lightning.data.records import Record
from rag_lightning.rules.hits import Hit, hit_from_json
from rag_lightning.rules.resolve import Stretch, aggregate_label, aggregate_spans, touch
from rag_lightning.rules.ruleset import Rule, RuleSet
from rag_lightning.tasks.evaluation import Table
from rag_lightning.tasks.spans import tags_to_spans

_NONE = "—"


@dataclass(frozen=True)
class Counts:
    """What was found against what is there.

    Attributes:
        right: found and there.
        found: found in all.
        there: in the gold labels.
    """

    right: int = 0
    found: int = 0
    there: int = 0

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else math.nan

    @property
    def recall(self) -> float:
        return self.right / self.there if self.there else math.nan

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.found + self.there) if self.found + self.there else math.nan


@dataclass(frozen=True)
class Example:
    """One labelled example after the rules were applied.

    Attributes:
        record: the example.
        hits: of all rules.
        gold: for tokens the entities, else the text's label (or labels) as (0, 0, label).
    """

    record: Record
    hits: list[Hit]
    gold: frozenset[Stretch]

    @property
    def of_tokens(self) -> bool:
        return "tokens" in self.record

    def has(self, hit: Hit) -> bool:
        """Whether the hit's vote is right (a veto is right where its label is not)."""
        if hit.veto and self.of_tokens:
            touched = {label for start, end, label in self.gold if hit.start < end and start < hit.end}
            return hit.label not in touched
        if self.of_tokens:
            return (hit.start, hit.end, hit.label) in self.gold
        return ((0, 0, hit.label) in self.gold) != hit.veto


_Own = tuple[Example, list[Hit]]  # an example and a rule's hits in it


def labelled(record: Record, label_field: str) -> Example:
    """An annotated record (with ``hits``) and its gold labels.

    Args:
        label_field: ``tags`` (IOB2) of a record with tokens, or the field of a text's label.
    """
    hits = [hit_from_json(values) for values in record["hits"]]
    if "tokens" in record:
        return Example(record, hits, frozenset(tags_to_spans(record["tags"])))
    value = record[label_field]
    labels = value if isinstance(value, list) else [value]
    return Example(record, hits, frozenset((0, 0, str(label)) for label in labels))


def rule_table(examples: Sequence[Example], ruleset: RuleSet) -> Table:
    """A row for each rule, in the order of the file.

    overlap: examples in which a hit of the rule meets another rule's; conflict: … of another label. Of a veto,
    precision is the share of hits at which its label is indeed not; a mark has no scores.
    """
    columns = ("rule", "label", "hits", "coverage", "overlap", "conflict", "precision", "recall", "f1")
    hits_of: dict[str, list[_Own]] = {}
    for example in examples:
        for rule, hits in groupby(sorted(example.hits, key=_by_rule), key=_by_rule):
            hits_of.setdefault(rule, []).append((example, list(hits)))
    rows = [_rule_row(rule, hits_of.get(rule.name, []), examples) for rule in ruleset.rules]
    meets = "overlaps" if any(example.of_tokens for example in examples) else "shares a text with"
    note = f"shares of {len(examples):,} examples; a hit that {meets} another rule's is an overlap, of another label "
    return Table("Rules", columns, tuple(rows), f"{note}a conflict")


def joint_table(examples: Sequence[Example], ruleset: RuleSet) -> Table:
    """All rules together under the file's ``conflict``: precision, recall and F1 per label and over all."""
    answers = [_answer(example, ruleset) for example in examples]
    labels = sorted({label for e, a in zip(examples, answers, strict=True) for _, _, label in e.gold | a})
    pairs = list(zip(examples, answers, strict=True))
    rows = [
        _score_row(label, [({s for s in e.gold if s[2] == label}, {s for s in a if s[2] == label}) for e, a in pairs])
        for label in labels
    ]
    rows.append(_score_row("all", [(set(e.gold), set(a)) for e, a in pairs]))
    silent = sum(not answer for answer in answers)
    note = f"conflict: {ruleset.conflict}; the rules say nothing about {silent:,} of {len(examples):,} examples"
    return Table("All rules together", ("label", "precision", "recall", "f1", "gold"), tuple(rows), note)


def worst_table(examples: Sequence[Example], ruleset: RuleSet, most: int) -> Table:
    """The wrong hits of the rules that are wrong most often, most wrong rule first, ``most`` examples each."""
    wrong: dict[str, list[tuple[Example, Hit]]] = {}
    for example in examples:
        seen: set[str] = set()
        for hit in example.hits:
            if hit.label is not None and hit.rule not in seen and not example.has(hit):
                wrong.setdefault(hit.rule, []).append((example, hit))
                seen.add(hit.rule)
    rows = [
        (rule, f"{'never ' if hit.veto else ''}{hit.label}", _gold(example, hit), marked(example.record, hit))
        for rule, found in sorted(wrong.items(), key=lambda item: (-len(item[1]), item[0]))
        for example, hit in found[:most]
    ]
    return Table("Where the rules are wrong", ("rule", "says", "gold", "text"), tuple(rows))


def marked(record: Record, hit: Hit, around: int = 60) -> str:
    """The text around a hit, with the hit in [brackets]."""
    if "tokens" in record:
        tokens = record["tokens"]
        parts = [" ".join(tokens[: hit.start]), " ".join(tokens[hit.start : hit.end]), " ".join(tokens[hit.end :])]
        before, found, after = parts[0] + " " * bool(parts[0]), parts[1], " " * bool(parts[2]) + parts[2]
    else:
        text = record["text"]
        before, found, after = text[: hit.start], text[hit.start : hit.end], text[hit.end :]
    left = f"…{before[-around:]}" if len(before) > around else before
    right = f"{after[:around]}…" if len(after) > around else after
    return " ".join(f"{left}[{found}]{right}".split())


def _by_rule(hit: Hit) -> str:
    return hit.rule


def _rule_row(rule: Rule, own: Sequence[_Own], examples: Sequence[Example]) -> tuple[str | int | float, ...]:
    met = [[(h, o) for h in hits for o in e.hits if o.rule != rule.name and _meet(e, h, o)] for e, hits in own]
    disputed = sum(any(_disagree(hit, other) for hit, other in pairs) for pairs in met)
    label = "/".join(rule.labels) or _NONE
    counts = _counts(rule, own, examples)
    return (
        rule.name,
        f"never {label}" if rule.veto else label,
        sum(len(hits) for _, hits in own),
        len(own) / len(examples),
        sum(map(bool, met)) / len(examples),
        disputed / len(examples),
        counts.precision,
        math.nan if rule.veto else counts.recall,
        math.nan if rule.veto else counts.f1,
    )


def _counts(rule: Rule, own: Sequence[_Own], examples: Sequence[Example]) -> Counts:
    if not rule.labels:
        return Counts()
    votes = [(example, hit) for example, hits in own for hit in hits if hit.label is not None]
    if not all(example.of_tokens for example in examples):  # a text has one label however often the rule hits
        votes = list({(id(example), hit.label): (example, hit) for example, hit in votes}.values())
    right = sum(example.has(hit) for example, hit in votes)
    there = sum(label in rule.labels for example in examples for _, _, label in example.gold)
    return Counts(right, len(votes), there)


def _meet(example: Example, hit: Hit, other: Hit) -> bool:
    return other.label is not None and (touch(hit, other) or not example.of_tokens)


def _disagree(hit: Hit, other: Hit) -> bool:
    if hit.label is None:
        return False
    return (hit.label != other.label) if hit.veto == other.veto else hit.label == other.label


def _answer(example: Example, ruleset: RuleSet) -> frozenset[Stretch]:
    if example.of_tokens:
        return frozenset(aggregate_spans(example.hits, ruleset))
    label = aggregate_label(example.hits, ruleset)
    return frozenset() if label is None else frozenset({(0, 0, label)})


def _score_row(name: str, pairs: Sequence[tuple[Any, Any]]) -> tuple[str | int | float, ...]:
    counts = Counts(sum(len(g & a) for g, a in pairs), sum(len(a) for _, a in pairs), sum(len(g) for g, _ in pairs))
    return name, counts.precision, counts.recall, counts.f1, counts.there


def _gold(example: Example, hit: Hit) -> str:
    if not example.of_tokens:
        return next(iter(example.gold))[2]
    tokens = example.record["tokens"]
    near = [stretch for stretch in sorted(example.gold) if stretch[0] < hit.end and hit.start < stretch[1]]
    return "; ".join(f"{' '.join(tokens[start:end])}: {label}" for start, end, label in near) or _NONE
