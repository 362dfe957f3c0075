"""What the rules found as features: bits for every word, to be embedded by the model."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rag_lightning.data.records import Record
from rag_lightning.rules.hits import Hit, hit_from_json
from rag_lightning.rules.ruleset import RuleSet

COLUMN = "marks_{}"  # a column of the encoded data
COLUMN_BITS = 62  # of an int64: the sign and one spare bit stay out of it
_WORD = re.compile(r"\S+")  # the words of str.split()


@dataclass(frozen=True)
class FeatureIndex:
    """Which bit means what: for each rule and then each label, "a hit begins here" and "a hit goes on here".

    Attributes:
        rules: the rules' names.
        labels: the labels that rules vote for.
    """

    rules: tuple[str, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, ruleset: RuleSet) -> "FeatureIndex":
        """The features that a rule file can give."""
        votes = (label for rule in ruleset.rules for label in rule.labels)
        return cls(tuple(rule.name for rule in ruleset.rules), tuple(dict.fromkeys([*ruleset.labels, *votes])))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features in the order of their bits."""
        sources = [f"rule {name}" for name in self.rules] + [f"label {name}" for name in self.labels]
        return tuple(f"{source}: {place}" for source in sources for place in ("begins", "inside"))

    @property
    def size(self) -> int:
        """The number of features."""
        return 2 * (len(self.rules) + len(self.labels))

    @property
    def columns(self) -> int:
        """How many int64 columns of 62 bits hold them."""
        return -(-self.size // COLUMN_BITS)

    @cached_property
    def rule_bits(self) -> dict[str, int]:
        """Rule -> its first bit."""
        return {name: 2 * i for i, name in enumerate(self.rules)}

    @cached_property
    def label_bits(self) -> dict[str, int]:
        """Label -> its first bit."""
        return {name: 2 * (len(self.rules) + i) for i, name in enumerate(self.labels)}


def mark_columns(record_hits: Sequence[Hit], n_words: int, feature_index: FeatureIndex) -> list[int]:
    """The bits of every word, as one whole number per word (see :func:`split_columns`).

    A veto sets the bits of its rule and not those of its label, which it denies.

    Args:
        record_hits: with places counted in words.
        n_words: how many words there are.
        feature_index: which bit means what.
    """
    masks = [0] * n_words
    for hit in record_hits:
        begins = 1 << feature_index.rule_bits[hit.rule]
        if hit.label is not None and not hit.veto:
            begins |= 1 << feature_index.label_bits[hit.label]
        masks[hit.start] |= begins
        for word in range(hit.start + 1, hit.end):
            masks[word] |= begins << 1
    return masks


def record_marks(record: Record, feature_index: FeatureIndex) -> list[int]:
    """The bits of every word of a record that has ``hits``: of its ``tokens``, or of ``text.split()``."""
    hits = [hit_from_json(hit) for hit in record["hits"]]
    if "tokens" in record:
        return mark_columns(hits, len(record["tokens"]), feature_index)
    spans = [match.span() for match in _WORD.finditer(record["text"])]
    return mark_columns(hits_on_words(hits, spans), len(spans), feature_index)


def hits_on_words(hits: Sequence[Hit], spans: Sequence[tuple[int, int]]) -> list[Hit]:
    """The hits with their places in words instead of characters; a word counts if the hit touches it.

    Args:
        hits: with places in characters.
        spans: first character of each word and the one after its last, in the order of the text.
    """
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    moved = []
    for hit in hits:
        first, last = bisect_right(ends, hit.start), bisect_left(starts, hit.end)
        if first < last:
            moved.append(Hit(first, last, hit.label, hit.rule, hit.priority, hit.veto))
    return moved


def split_columns(masks: Sequence[int], feature_index: FeatureIndex) -> list[list[int]]:
    """The bits of every word as ``feature_index.columns`` lists of numbers that each fit an int64."""
    window = (1 << COLUMN_BITS) - 1
    return [[(mask >> (COLUMN_BITS * i)) & window for mask in masks] for i in range(feature_index.columns)]
