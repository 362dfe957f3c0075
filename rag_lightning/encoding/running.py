"""Running text to sub-tokens, as a decoder reads it: with the spaces that it stands there with."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rag_lightning.data.records import Record
from rag_lightning.encoding.chat import ChatFrames
from rag_lightning.encoding.render import Render, Segment, Special
from rag_lightning.encoding.segments import Part, special_id
from rag_lightning.encoding.words import PROBE, WordEncoder


@dataclass
class _Stretch:
    """Running text between special tokens, and where in it the words end."""

    text: str = ""
    ends: list[int] = field(default_factory=list)
    words: list[tuple[int, int]] = field(default_factory=list)  # segment, word

    def add(self, text: str, joined: bool, place: tuple[int, int]) -> None:
        self.text += text if joined or not self.text else f" {text}"
        self.ends.append(len(self.text))
        self.words.append(place)

    def word_at(self, start: int, end: int) -> tuple[int, int]:
        """The word of a sub-token's characters; a space goes with the word behind it, or with its sub-token's word."""
        while end > start and self.text[end - 1].isspace():
            end -= 1
        number = bisect_left(self.ends, end) if end > start else bisect_right(self.ends, start)
        return self.words[min(number, len(self.words) - 1)]


@dataclass
class RunningWords(WordEncoder):
    """Encodes words as running text, for networks that write.

    The tokenizer is one for running text (``load_tokenizer(pre_split=False)``). A word's sub-tokens hold the space
    before it; the first word of a text has none.

    Attributes:
        prefix, suffix, max_length: as of a :class:`WordEncoder`.
    """

    def __post_init__(self) -> None:
        bare, full = self.ids(PROBE), self.tokenizer(PROBE)["input_ids"]
        start = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
        self.prefix, self.suffix = full[:start], full[start + len(bare) :]

    def ids(self, text: str) -> list[int]:
        """A text as it stands, line ends too, without special tokens; what looks like one is text."""
        encoded: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return encoded

    @cached_property
    def chat(self) -> ChatFrames | None:
        """How a conversation is written for the backbone; None if its tokenizer has no chat template."""
        return ChatFrames(self.tokenizer) if self.tokenizer.chat_template else None

    def encode(self, texts: Sequence[Sequence[str]]) -> list[list[list[int]]]:
        """Sub-token ids of each word of each text, the words of a text with a space between them.

        A word that the tokenizer drops has no sub-token.
        """
        return [parts[0].pieces for parts in self._parts([[Segment(words)] for words in texts])]

    def encode_rendered(self, records: Sequence[Record], render: Render) -> list[list[Part]]:
        """Each record rendered and encoded as one running text.

        Raises:
            UserError: if the template asks for a special token that the tokenizer does not have.
        """
        if prepare := getattr(render, "prepare", None):  # what is cheaper for many records than for each
            prepare(records)
        return self._parts([render(record) for record in records])

    def _parts(self, rendered: Sequence[Sequence[Segment]]) -> list[list[Part]]:
        parts = [[Part(each, [[] for _ in each.words]) for each in segments] for segments in rendered]
        stretches: list[tuple[int, _Stretch]] = []
        for row, segments in enumerate(rendered):
            stretches += [(row, stretch) for stretch in self._stretches(segments, parts[row])]
        if not stretches:
            return parts
        encoded = self.tokenizer(
            [stretch.text for _, stretch in stretches], add_special_tokens=False, truncation=False,
            return_attention_mask=False, return_token_type_ids=False, verbose=False,
        )  # fmt: skip
        for (row, stretch), encoding in zip(stretches, encoded.encodings, strict=True):
            for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
                segment, word = stretch.word_at(start, end)
                parts[row][segment].pieces[word].append(token)
        return parts

    def _stretches(self, segments: Sequence[Segment], parts: Sequence[Part]) -> list[_Stretch]:
        """The text in as many stretches as special tokens divide it into; those tokens are put in place."""
        stretches = [_Stretch()]
        for number, segment in enumerate(segments):
            for place, word in enumerate(segment.words):
                if isinstance(word, Special) and (segment.field is None or segment.rank):
                    parts[number].pieces[place].append(special_id(word, self))
                    stretches.append(_Stretch())
                else:
                    stretches[-1].add(word, segment.joined and place == 0, (number, place))
        return [stretch for stretch in stretches if stretch.words]
