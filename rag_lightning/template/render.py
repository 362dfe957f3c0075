"""A template and an example to the segments of an input."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rag_lightning.data.records import Record
from rag_lightning.encoding.render import MASK, SEP, Segment, example_segments
from rag_lightning.errors import UserError
from rag_lightning.tasks.entity_marks import MARKED, TYPED, without_types
from rag_lightning.template.context import Lookup
from rag_lightning.template.demonstrations import Chooser, Demonstration, Embed
from rag_lightning.template.parse import Parts, Slot, parse, slots_of
from rag_lightning.template.recipe import Recipe
from rag_lightning.template.retrieval import Similar, earlier_turns
from rag_lightning.template.wording import (
    descriptions_in_words,
    field_text,
    hints_in_words,
    names_in_words,
    own_words,
)

# Who makes room first where an input is too long; the example itself (0) comes last.
RANKS = {"examples": 4, "context": 3, "hints": 2}
BESIDE = 1  # other fields of an example whose words are labelled one by one; what was said before in a dialogue
HISTORY = "history"
MAIN = ("tokens", "text")  # either name means the field that the task is about
ANSWER = "answer"
_SPECIAL = {"sep": SEP, "mask": MASK}
BUILT_IN = ("description", "labels", "label_descriptions", *reversed(RANKS), *_SPECIAL)

Fill = Callable[[Record], list[Segment]]


class TemplateRender:
    """Renders records: ``render(record)`` gives the segments of its input.

    Args:
        recipe: the template and what fills it.
        embed: texts -> (texts, width), for the nearest demonstrations.

    Attributes:
        needs_hits: whether rules must have been applied to the records.
    """

    def __init__(self, recipe: Recipe, embed: Embed | None = None) -> None:
        self.recipe = recipe
        parts = parse(recipe.config.text)
        names = slots_of(parts)
        shown = recipe.config.demonstrations
        if "examples" in names and shown.choice == "nearest" and embed is None:
            raise ValueError("the nearest demonstrations are found by an embedding, and none was given")
        self.needs_hits = "hints" in names
        self._fields = [name for name in names if name not in BUILT_IN]
        self._chooser = Chooser(recipe.pool, shown.k, shown.choice, shown.seed, embed) if "examples" in names else None
        self._reads = parse(shown.text, "template.demonstrations.text")
        self._shown: dict[str, Segment] = {}
        self._lookup = Lookup(recipe.terms)
        context = recipe.config.context
        self._similar = Similar(recipe.entries, context.most, context.least) if recipe.entries else None
        self._plan = self._planned(parts)

    def __call__(self, record: Record) -> list[Segment]:
        segments: list[Segment] = []
        for step in self._plan:
            if isinstance(step, Segment):
                segments.append(step)
            else:
                segments += step(record)
        return segments

    def prepare(self, records: Sequence[Record]) -> None:
        """What is cheaper for many records at once: the search of their neighbours and of knowledge like them."""
        if self._chooser is not None:
            self._chooser.prepare([own_words(record, self._fields) for record in records])
        if self._similar is not None:
            self._similar.prepare([(own_words(record, self._fields), earlier_turns(record)) for record in records])

    def content_free(self, texts: Sequence[str]) -> list[Record]:
        """Examples that say nothing, for calibration: each text in every field that the template shows."""
        fields = [self.recipe.main if name in MAIN else name for name in self._fields]
        return [{**dict.fromkeys(fields, text), "hits": []} for text in texts]

    def _planned(self, parts: Parts) -> list[Segment | Fill]:
        """Template words that stand together become one segment; a slot that varies becomes a function."""
        plan: list[Segment | Fill] = []
        fixed: list[str] = []
        fixed_joined = False
        for before, part in zip((" ", *parts), parts, strict=False):
            joined = not _spaced(before, part)
            words = self._fixed_words(part)
            if fixed and (words is None or (words and joined)):
                plan.append(Segment(fixed, joined=fixed_joined))
                fixed = []
            if words is not None:
                fixed_joined = fixed_joined if fixed else joined
                fixed += words
                continue
            assert isinstance(part, Slot)
            fill = self._fill(part.name)
            plan.append(_joined(fill) if joined else fill)
        return [*plan, Segment(fixed, joined=fixed_joined)] if fixed else plan

    def _fixed_words(self, part: str | Slot) -> list[str] | None:
        """The words of a part that is the same for every example, else None."""
        if isinstance(part, str):
            return part.split()
        if part.name in _SPECIAL:
            return [_SPECIAL[part.name]]
        texts = {
            "description": lambda: self.recipe.description,
            "labels": lambda: names_in_words(self.recipe.labels),
            "label_descriptions": lambda: descriptions_in_words(self.recipe.labels),
        }
        return texts[part.name]().split() if part.name in texts else None

    def _fill(self, name: str) -> Fill:
        if name == "hints":
            return self._hints
        if name == "context":
            return self._context
        if name == "examples":
            return self._examples
        if name in MAIN and self.recipe.main:
            return self._example
        field = name
        gives_way = field == HISTORY or (self.recipe.main == "tokens" and field != "tokens")
        rank = BESIDE if gives_way else 0
        return lambda record: [Segment(field_words(record, field), field, rank)]

    def _example(self, record: Record) -> list[Segment]:
        if self.recipe.main not in record:
            field_words(record, self.recipe.main)  # says what is missing
        return example_segments(record)

    def _hints(self, record: Record) -> list[Segment]:
        found = hints_in_words(record, self.recipe.labels) or self.recipe.config.empty_hints
        return _added("hints", found)

    def _context(self, record: Record) -> list[Segment]:
        options, own = self.recipe.config.context, own_words(record, self._fields)
        if self._similar is None:
            found = self._lookup.context(own, options.most)
        else:
            found = " ".join(entry.shown for entry in self._similar.find(own, earlier_turns(record)))
        return _added("context", found or options.empty)

    def _examples(self, record: Record) -> list[Segment]:
        assert self._chooser is not None
        return [self._demonstration(each) for each in self._chooser.choose(own_words(record, self._fields))]

    def _demonstration(self, shown: Demonstration) -> Segment:
        """As one segment, made once: it is left out whole where there is no room, for half of one misleads."""
        if shown.own not in self._shown:
            words: list[str] = []
            for part in self._reads:
                if isinstance(part, str):
                    words += part.split()
                elif part.name in _SPECIAL:
                    words.append(_SPECIAL[part.name])
                elif part.name == ANSWER:
                    words += shown.answer.split()
                else:
                    words += field_words(shown.fields, self.recipe.main if part.name in MAIN else part.name)
            self._shown[shown.own] = Segment(words, "examples", RANKS["examples"], whole=True)
        return self._shown[shown.own]


def field_words(record: Record, field: str) -> list[str]:
    """A field's words: a list as it is, text cut at white space.

    Raises:
        UserError: if the example does not have the field.
    """
    value = record.get(field)
    if value is None and field == TYPED and MARKED in record:
        raise without_types(str(record.get("source", record.get("id", "text"))))
    if value is None:
        raise UserError(
            f"this example has no field {field!r}, which the template shows",
            where=str(record.get("source", record.get("id", "template.text"))),
            remedy=f"Give every example the field, also for prediction, or choose a template without {{{field}}}"
            + (", or set guidance.examples=false." if str(record.get("source")).startswith("rules, ") else "."),
        )
    return list(map(str, value)) if isinstance(value, list | tuple) else field_text(value).split()


def _added(slot: str, text: str) -> list[Segment]:
    words = text.split()
    return [Segment(words, slot, RANKS[slot])] if words else []


def _spaced(before: str | Slot, part: str | Slot) -> bool:
    """Whether there is a space between two parts of a template."""
    ends = isinstance(before, str) and before[-1:].isspace()
    return ends or (isinstance(part, str) and part[:1].isspace())


def _joined(fill: Fill) -> Fill:
    """Its segments, the first of them without a space before it."""

    def filled(record: Record) -> list[Segment]:
        first, *rest = fill(record) or [Segment(())]
        return [replace(first, joined=True), *rest]

    return filled
