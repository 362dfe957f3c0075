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
        joined: in running text, no space stands before it.
    """

    words: Sequence[str]
    field: str | None = None
    rank: int = 0
    whole: bool = False
    joined: bool = False


Render = Callable[[Record], list[Segment]]
_BETWEEN = Segment((SEP,))


def render_plain(record: Record) -> list[Segment]:
    """The record's words and nothing around them: its tokens, or its text cut at white space."""
    return example_segments(record)


def example_segments(record: Record) -> list[Segment]:
    """What a task is about: tokens, a text, a pair of texts, or a text behind the question that it answers."""
    if "tokens" in record:
        return [Segment(record["tokens"], "tokens")]
    if isinstance(record.get("first"), str) and isinstance(record.get("second"), str):
        return [Segment(record["first"].split(), "text"), _BETWEEN, Segment(record["second"].split(), "text")]
    text = Segment(record["text"].split(), "text")
    return [Segment(record["question"].split(), "question"), _BETWEEN, text] if "question" in record else [text]


def words_of(segments: Sequence[Segment]) -> str:
    """An input as a reader sees it, special tokens in square brackets."""
    text = ""
    for segment in segments:
        shown = " ".join(segment.words)
        text += f" {shown}" if text and shown and not segment.joined else shown
    return text
