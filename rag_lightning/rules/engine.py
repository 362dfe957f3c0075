"""Rules applied to examples, once each, in time linear in the text."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError
from rag_lightning.rules.conditions import Entries, accepted, grown
from rag_lightning.rules.hits import Hit, hit_to_json, in_order
from rag_lightning.rules.matcher import LexiconMatcher
from rag_lightning.rules.patterns import Haystack, Pattern
from rag_lightning.rules.ruleset import Rule, RuleSet
from rag_lightning.rules.view import POINT, POSSESSIVE, Span, View

_Found = tuple[Span, str | None]  # characters of the view's text, and the label


class RuleEngine:
    """Applies a rule set to texts.

    What a rule finds is worked on in this order: matches; of matches that overlap the leftmost, then longest; growth
    (``expand``); conditions, asked about the grown stretch; of what overlaps again the leftmost, then longest;
    ``min_hits``.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        self.ruleset = ruleset
        self._names = list(ruleset.lexicons)
        self._rests = [POSSESSIVE if lexicon.possessive else POINT for lexicon in ruleset.lexicons.values()]
        self._matcher = LexiconMatcher(list(ruleset.lexicons.values()))
        self._patterns = {
            rule.name: Pattern(rule.pattern, ignore_case=rule.ignore_case, whole_words=rule.whole_words)
            for rule in ruleset.rules
            if rule.pattern is not None
        }

    def annotate(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records with ``hits``, sorted; in tokens where a record has ``tokens``, else in characters of ``text``.

        Raises:
            UserError: for a record that has neither.
        """
        for record in records:
            yield {**record, "hits": [hit_to_json(hit) for hit in self.apply(record)]}

    def apply(self, record: Record) -> list[Hit]:
        """The hits of a record, as :meth:`annotate` keeps them."""
        if record.get("tokens") is not None:
            return self.apply_tokens(record["tokens"])
        if isinstance(record.get("text"), str):
            return self._apply([(View.of_text(text), start) for start, text in texts_of(record)])
        raise UserError(
            "rules need the field tokens or text, and the example has neither",
            where=str(record.get("source", "the data")),
            remedy="Set data.fields.text (or tokens), or choose rules=none.",
        )

    def apply_text(self, text: str) -> list[Hit]:
        """The hits in a running text, in characters."""
        return self._apply([(View.of_text(text), 0)])

    def apply_tokens(self, tokens: Sequence[str]) -> list[Hit]:
        """The hits among tokens, in tokens; a hit that covers part of a token is none."""
        return self._apply([(View.of(tokens), 0)])

    def _apply(self, views: Sequence[tuple[View, int]]) -> list[Hit]:
        """The hits in one or several texts that count as one example, each with the place where it begins there."""
        found: dict[str, list[Hit]] = {}
        for view, start in views:
            for rule, span, label in self._found(view):
                first, last = view.position(span)
                hit = Hit(start + first, start + last, label, rule.name, rule.priority, rule.veto)
                found.setdefault(rule.name, []).append(hit)
        enough = (found[rule.name] for rule in self.ruleset.rules if len(found.get(rule.name, ())) >= rule.min_hits)
        return in_order([hit for hits in enough for hit in hits])

    def _found(self, view: View) -> Iterator[tuple[Rule, Span, str | None]]:
        """What each rule finds, without regard to how much it has to find."""
        spans = self._entries(view)
        entries = Entries(view, spans)
        haystacks = _Haystacks(view)
        for rule in self.ruleset.rules:
            if rule.pattern is not None:
                found = list(self._matched(rule, view, haystacks))
            else:
                found = [(span, rule.label) for name in rule.lexicons for span in spans.get(name, ())]
            if not found:
                continue
            found = _longest(found)
            if rule.expand is not None:
                larger = [(grown(rule.expand, view, span), label) for span, label in found]
                found = [(span, label) for span, label in larger if span is not None]
            found = [one for one in found if accepted(rule.when, rule.unless, view, entries, one[0])]
            if rule.expand is not None:
                found = _longest(found)
            yield from ((rule, span, label) for span, label in found)

    def _entries(self, view: View) -> dict[str, list[Span]]:
        """Lexicon's name -> where its entries stand."""
        spans: dict[str, list[Span]] = {}
        for number, first, last in self._matcher.find(view.units):
            span = view.aligned(view.span_of_units(first, last), rests=self._rests[number])
            if span is not None:
                spans.setdefault(self._names[number], []).append(span)
        return spans

    def _matched(self, rule: Rule, view: View, haystacks: "_Haystacks") -> Iterator[_Found]:
        """What a pattern finds; a label per named group, or the rule's for the whole match."""
        for groups in self._patterns[rule.name].search(haystacks.tokens if rule.over_tokens else haystacks.text):
            for group, label in rule.groups or (("", rule.label),):
                span: Span | None = groups.get(group)
                if span is not None and rule.over_tokens:
                    span = haystacks.from_tokens(span)
                span = view.aligned(span) if span is not None else None
                if span is not None:
                    yield span, label


def texts_of(record: Record) -> list[tuple[int, str]]:
    """The record's text, or the two that it is made of, each with the character where it begins.

    A record with ``stretch`` (start, end) is read there only.
    """
    if (stretch := record.get("stretch")) is not None:
        return [(stretch[0], record["text"][stretch[0] : stretch[1]])]
    first, second, text = record.get("first"), record.get("second"), record["text"]
    if isinstance(first, str) and isinstance(second, str) and text == f"{first}\n{second}":
        return [(0, first), (len(first) + 1, second)]
    return [(0, text)]


class _Haystacks:
    """What the patterns see of a view, made when the first of them looks."""

    def __init__(self, view: View) -> None:
        self._view = view

    @cached_property
    def text(self) -> Haystack:
        return Haystack(self._view.text)

    @cached_property
    def tokens(self) -> Haystack:
        return Haystack(" ".join(self._view.words))

    def from_tokens(self, span: Span) -> Span | None:
        """A stretch of the tokens joined by spaces as one of the text; None if it covers a token in part."""
        starts, view = self._starts, self._view
        first, last = bisect_left(starts, span[0]), bisect_left(starts, span[1]) - 1
        if first > last or starts[first] != span[0] or starts[last] + len(view.words[last]) != span[1]:
            return None
        return view.starts[first], view.ends[last]

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((len(word) + 1 for word in self._view.words), initial=0))[:-1]


def _longest(found: Sequence[_Found]) -> list[_Found]:
    """Of stretches of one label that overlap the leftmost, and of those that begin together the longest."""
    kept: list[_Found] = []
    reached: dict[str | None, int] = {}
    for span, label in sorted(found, key=lambda one: (one[0][0], -one[0][1])):
        if span[0] >= reached.get(label, 0) and span[0] < span[1]:
            kept.append((span, label))
            reached[label] = span[1]
    return kept
