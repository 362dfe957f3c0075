"""How a record becomes the words of an input: the hook where templates and rules take part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_lightning.data.records import Record


class Special(str):
    """A word of a template that stands for a special token of the tokenizer; the same letters in a text do not."""

    __slots__ = ()


SEP = Special("[SEP]")
MASK = Special("[MASK]")


@dataclass(frozen=True)
class Segment:
    """A stretch of words of the input: of the example (a data slot) or of the template around it.

    Output kinds turn segments into sub-tokens by :func:`rag_lightning.encoding.segments.encode_segments` (which
    knows special words) and make them fit by :func:`rag_lightning.encoding.segments.shorten`.

    Attributes:
        words: the words; a template's own may be :class:`Special`.
        field: the field of the example they come from, or the slot that was filled for it (hints, context,
            examples); None for a template's own words, which are never cut and never labelled.
        rank: who makes room first where an input is too long: the highest; 0 is the example itself.
        whole: make room by leaving out all of it, because a part would mislead.
    """

    words: Sequence[str]
    field: str | None = None
    rank: int = 0
    whole: bool = False


Render = Callable[[Record], list[Segment]]


def render_plain(record: Record) -> list[Segment]:
    """The record's words and nothing around them: its tokens, or its text cut at white space."""
    if "tokens" in record:
        return [Segment(record["tokens"], "tokens")]
    return [Segment(record["text"].split(), "text")]


def words_of(segments: Sequence[Segment]) -> str:
    """An input as a reader sees it, special tokens in square brackets."""
    return " ".join(word for segment in segments for word in segment.words)
