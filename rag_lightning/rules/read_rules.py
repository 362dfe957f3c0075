"""From the description of a rule to a :class:`Rule`: what a schema cannot check is checked here."""

import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from rag_lightning.errors import UserError, nearest
from rag_lightning.rules.patterns import Pattern, PatternMistake
from rag_lightning.rules.places import Places
from rag_lightning.rules.ruleset import Conditions, Expand, Lexicon, Neighbour, Rule
from rag_lightning.rules.schema import ConditionSpec, ExpandSpec, NeighbourSpec, RuleSpec, RulesSpec, WordsSpec

_WHOLE = "hit"  # the group of a pattern that marks the stretch of `label` or `never`


class RuleReader:
    """Reads the rules of one file.

    Args:
        places: where everything stands, for messages.
        lexicons: of the file, by name.

    Attributes:
        inner_lexicons: the word lists inside conditions; :meth:`read` adds them.
    """

    def __init__(self, spec: RulesSpec, places: Places, lexicons: Mapping[str, Lexicon]) -> None:
        self._spec = spec
        self._places = places
        self._lexicons = lexicons
        self.inner_lexicons: dict[str, Lexicon] = {}

    def read(self, name: str) -> Rule:
        """The rule of that name.

        Raises:
            UserError: if it contradicts itself, or names what is not there.
        """
        spec, here = self._spec.rules[name], ("rules", name)
        if (spec.lexicon is None) == (spec.pattern is None):
            given = "neither" if spec.lexicon is None else "both"
            self._fail(here, f"the rule has {given} of lexicon and pattern", "Give it one of the two.")
        if spec.label is not None and spec.never is not None:
            self._fail((*here, "never"), "the rule has both label and never", "Make two rules of it.")
        for key, label in (("label", spec.label), ("never", spec.never)):
            if label is not None and self._spec.labels:
                self._known("label", label, self._spec.labels, (*here, key))
        for lexicon in spec.lexicon or ():
            self._known("lexicon", lexicon, self._lexicons, (*here, "lexicon"))
        label = spec.label if spec.never is None else spec.never
        groups = self._groups(spec, label, here) if spec.pattern is not None else ()
        return Rule(
            name=name,
            label=label if label is not None or len({of for _, of in groups}) != 1 else groups[0][1],
            priority=spec.priority,
            veto=spec.never is not None,
            lexicons=spec.lexicon or (),
            pattern=spec.pattern,
            groups=groups,
            ignore_case=spec.case == "ignore",
            over_tokens=spec.over == "tokens",
            whole_words=spec.whole_words,
            expand=self._expand(spec.expand, here) if spec.expand is not None else None,
            when=self._conditions(spec.when, (*here, "when")),
            unless=self._conditions(spec.unless, (*here, "unless")),
            min_hits=spec.min_hits,
        )

    def _groups(self, spec: RuleSpec, label: str | None, here: tuple[str, ...]) -> tuple[tuple[str, str | None], ...]:
        """Which label the stretch of each named group gets."""
        where = (*here, "pattern")
        try:
            pattern = Pattern(str(spec.pattern), ignore_case=spec.case == "ignore", whole_words=spec.whole_words)
        except PatternMistake as mistake:
            self._fail(where, mistake.reason, mistake.remedy)
        labels = {re.sub(r"\W", "_", known): known for known in self._spec.labels}  # creative_work: creative-work
        groups: list[tuple[str, str | None]] = []
        for group in pattern.groups:
            if group == _WHOLE:
                groups.append((group, label))
            elif label is not None:
                self._fail(
                    where,
                    f"the group {group!r} names a label, and so does {'never' if spec.never else 'label'}",
                    f"Call the group {_WHOLE!r}, or take the other out.",
                )
            elif labels:
                self._known("label", group, labels, where)
                groups.append((group, labels[group]))
            else:
                groups.append((group, group))
        return tuple(groups)

    def _conditions(self, spec: ConditionSpec | None, here: tuple[str, ...]) -> Conditions:
        if spec is None:
            return Conditions()
        asked = {name: getattr(spec, name) for name in spec.model_fields_set}
        for name, value in asked.items():
            if isinstance(value, NeighbourSpec):
                asked[name] = Neighbour(self._words(value, (*here, name)), value.within)
            elif isinstance(value, WordsSpec):
                asked[name] = self._words(value, (*here, name))
        return Conditions(**asked)

    def _words(self, spec: WordsSpec, here: tuple[str, ...]) -> str:
        """The name of the lexicon that holds the words."""
        if (spec.lexicon is None) == (not spec.words):
            self._fail(here, "either words or a lexicon is needed here", "Write [at, of] or {lexicon: NAME}.")
        if spec.lexicon is not None:
            self._known("lexicon", spec.lexicon, self._lexicons, here)
            return spec.lexicon
        name = "\0".join(here)  # no name that a file can give
        self.inner_lexicons[name] = Lexicon(tuple(sorted(set(spec.words))))
        return name

    def _expand(self, spec: ExpandSpec, here: tuple[str, ...]) -> Expand:
        if spec.before is None and spec.after is None:
            self._fail(
                (*here, "expand"), "expand says neither before nor after", "Write expand: {before: capitalised}."
            )
        return Expand(
            spec.before,
            spec.after,
            frozenset(word.casefold() for word in spec.over),
            frozenset(word.casefold() for word in spec.stop),
            spec.at_least,
            spec.at_most,
        )

    def _known(self, kind: str, name: str, known: Collection[str], path: tuple[Any, ...]) -> None:
        if name not in known:
            close = nearest(name, list(known))
            remedy = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known) or 'none'}."
            self._fail(path, f"there is no {kind} {name!r}", remedy)

    def _fail(self, path: tuple[Any, ...], reason: str, remedy: str) -> NoReturn:
        raise UserError(reason, where=self._places.where(path), remedy=remedy)
