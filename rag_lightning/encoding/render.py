"""How a record becomes the words of an input: the hook where templates and rules take part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_lightning.data.records import Record


@dataclass(frozen=True)
class Segment:
    """A stretch of words of the input: of the example (a data slot) or of the template around it.

    Attributes:
        words: the words.
        field: the field of the example they come from; None for a template's own words, which are never cut
            and never labelled.
    """

    words: Sequence[str]
    field: str | None = None


Render = Callable[[Record], list[Segment]]


def render_plain(record: Record) -> list[Segment]:
    """The record's words and nothing around them."""
    return [Segment(record["tokens"], "tokens")]
