"""A rule file after reading: checked, word lists filled in, ready to be applied, saved and named by its content."""

from dataclasses import dataclass, field
from typing import Any, Literal

from rag_lightning.errors import UserError, nearest

Case = Literal["exact", "ignore", "smart"]
Conflict = Literal["priority", "longest", "majority", "abstain"]
Shape = Literal["capitalised", "all_caps", "number"]


@dataclass(frozen=True)
class LabelInfo:
    """A label in words.

    Attributes:
        name: how a sentence would call it, such as ``person`` for PER.
    """

    name: str
    description: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lexicon:
    """A word list, its entries final: inflected, filtered, sorted.

    Attributes:
        possessive: a word that goes on with ``'s`` after the entry also counts.
    """

    entries: tuple[str, ...]
    case: Case = "smart"
    possessive: bool = False


@dataclass(frozen=True)
class Neighbour:
    """Something that stands at most ``within`` words away from a hit.

    Attributes:
        lexicon: the name of the lexicon of which an entry stands there.
    """

    lexicon: str
    within: int = 1


@dataclass(frozen=True)
class Conditions:
    """What is asked about a hit; None is not asked."""

    capitalised: bool | None = None
    all_caps: bool | None = None
    lower_case: bool | None = None
    sentence_start: bool | None = None
    in_quotes: bool | None = None
    text_all_caps: bool | None = None
    min_words: int | None = None
    max_words: int | None = None
    preceded_by: Neighbour | None = None
    followed_by: Neighbour | None = None
    text_has: str | None = None


@dataclass(frozen=True)
class Expand:
    """How a hit grows over the words beside it.

    Attributes:
        before: the shape of the words that it takes in on the left; None: none.
        over: small words that may stand between such words (casefolded).
        stop: words that are never taken in (casefolded).
        at_least: words that must be taken in, else there is no hit.
        at_most: words taken in on each side.
    """

    before: Shape | None = None
    after: Shape | None = None
    over: frozenset[str] = frozenset()
    stop: frozenset[str] = frozenset()
    at_least: int = 0
    at_most: int = 5


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        label: the label it votes for, or against if ``veto``; None: a mark, or a pattern whose groups name several.
        lexicons: names of lexicons whose entries are its hits; empty for a pattern.
        pattern: as written in the file.
        groups: (name of a group, label its stretch gets) of the pattern; empty: the whole match gets ``label``.
        over_tokens: the pattern sees the tokens joined by single spaces, not the text.
        when: all must hold.
        unless: none may hold.
        min_hits: with fewer hits in a text the rule is silent.
    """

    name: str
    label: str | None
    priority: int = 0
    veto: bool = False
    lexicons: tuple[str, ...] = ()
    pattern: str | None = None
    groups: tuple[tuple[str, str | None], ...] = ()
    ignore_case: bool = False
    over_tokens: bool = False
    whole_words: bool = True
    expand: Expand | None = None
    when: Conditions = Conditions()
    unless: Conditions = Conditions()
    min_hits: int = 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label it can vote for (or against)."""
        named = [self.label, *(label for _, label in self.groups)]
        return tuple(dict.fromkeys(label for label in named if label is not None))


@dataclass(frozen=True)
class RuleSet:
    """All that a rule file says.

    Attributes:
        labels: label as the data have it -> how it is called in words.
        lexicons: by name; the word lists inside conditions have names that no file can give.
        conflict: what counts where hits disagree (:mod:`rag_lightning.rules.resolve`).
        fingerprint: sha256 over the content, word lists included; the same wherever the files lie.
        node: the same as plain data with all word lists filled in: ``load_rules(node, None)`` gives an equal RuleSet.
    """

    description: str = ""
    labels: dict[str, LabelInfo] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    lexicons: dict[str, Lexicon] = field(default_factory=dict)
    conflict: Conflict = "priority"
    fingerprint: str = ""
    node: dict[str, Any] = field(default_factory=dict, compare=False)

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self.node)


def check_labels(ruleset: RuleSet, known: list[str], where: str) -> None:
    """Raise a UserError if a rule votes for a label that the data do not have.

    Args:
        known: the data's labels; for NER the entity types.
        where: the rule file, for the message.
    """
    for rule in ruleset.rules:
        for label in rule.labels:
            if label not in known:
                close = nearest(label, known)
                remedy = f"Did you mean {close[0]}? " if close else ""
                raise UserError(
                    f"the rule {rule.name!r} names the label {label!r}, which the data do not have",
                    where=where,
                    remedy=f"{remedy}The data have: {', '.join(known[:30])}.",
                )


def undescribed(ruleset: RuleSet, known: list[str]) -> list[str]:
    """A sentence if the rule file describes labels that the data do not have; probably they are misspelt."""
    strange = [label for label in ruleset.labels if label not in known]
    if not strange:
        return []
    guesses = [
        f"{label} (did you mean {close[0]}?)" if (close := nearest(label, known)) else label for label in strange
    ]
    return [f"The rule file describes labels that the data do not have: {', '.join(guesses[:10])}."]
