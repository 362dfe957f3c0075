"""Words to sub-tokens, so that every word has at least one and none is mistaken for a special token."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

PROBE = "a"


@dataclass
class WordEncoder:
    """Encodes pre-split words with a fast Hugging Face tokenizer.

    Attributes:
        prefix: ids of the special tokens that open an input, such as ``[CLS]``.
        suffix: ids of those that close it, such as ``[SEP]``.
        max_length: the longest input in tokens, special tokens included.
    """

    tokenizer: Any
    max_length: int
    prefix: list[int] = field(init=False)
    suffix: list[int] = field(init=False)

    def __post_init__(self) -> None:
        bare = self.tokenizer([PROBE], is_split_into_words=True, add_special_tokens=False)["input_ids"]
        full = self.tokenizer([PROBE], is_split_into_words=True)["input_ids"]
        start = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
        self.prefix, self.suffix = full[:start], full[start + len(bare) :]
        self._placeholder = self._id_for_the_invisible()

    @property
    def room(self) -> int:
        """Tokens left for words in one input."""
        return self.max_length - len(self.prefix) - len(self.suffix)

    def _id_for_the_invisible(self) -> int:
        for name in ("unk_token_id", "mask_token_id", "eos_token_id"):
            token_id = getattr(self.tokenizer, name, None)
            if token_id is not None:
                return int(token_id)
        ids = self.tokenizer([PROBE], is_split_into_words=True, add_special_tokens=False)["input_ids"]
        return int(ids[0])

    def encode(self, texts: Sequence[Sequence[str]]) -> list[list[list[int]]]:
        """Sub-token ids of each word of each text.

        Returns:
            For each text a list as long as its words; a word that the tokenizer drops (empty, zero-width) gets
            the unknown token, so that it keeps its place and its label.
        """
        filled = [[word or " " for word in words] for words in texts]
        some = [i for i, words in enumerate(filled) if words]
        result: list[list[list[int]]] = [[] for _ in texts]
        if not some:
            return result
        encoded = self.tokenizer(
            [filled[i] for i in some], is_split_into_words=True, add_special_tokens=False, truncation=False,
            return_attention_mask=False, return_token_type_ids=False, verbose=False,
        )  # fmt: skip
        for index, encoding in zip(some, encoded.encodings, strict=True):
            result[index] = self._by_word(len(filled[index]), encoding.ids, encoding.word_ids)
        return result

    def places(self, texts: Sequence[Sequence[str]]) -> list[list[list[tuple[int, int]]]]:
        """For each sub-token that :meth:`encode` gives the characters of its word that it stands for, end exclusive.

        What the tokenizer drops (accents, zero-width signs) belongs to the sub-token before it, else to the first one,
        so that a word's sub-tokens cover it whole. Those of one character in several bytes each stand for all of it.
        """
        some = [i for i, words in enumerate(texts) if words]
        result: list[list[list[tuple[int, int]]]] = [[] for _ in texts]
        if not some:
            return result
        encoded = self.tokenizer(
            [[word or " " for word in texts[i]] for i in some], is_split_into_words=True, add_special_tokens=False,
            truncation=False, return_attention_mask=False, return_token_type_ids=False, verbose=False,
        )  # fmt: skip
        for index, encoding in zip(some, encoded.encodings, strict=True):
            found: list[list[tuple[int, int]]] = [[] for _ in texts[index]]
            for place, word in zip(encoding.offsets, encoding.word_ids, strict=True):
                if word is not None:
                    found[word].append(place)
            result[index] = [_covering(places, len(word)) for places, word in zip(found, texts[index], strict=True)]
        return result

    def _by_word(self, n_words: int, ids: list[int], word_ids: list[int | None]) -> list[list[int]]:
        pieces: list[list[int]] = [[] for _ in range(n_words)]
        for token, word in zip(ids, word_ids, strict=True):
            if word is not None:
                pieces[word].append(token)
        return [piece or [self._placeholder] for piece in pieces]


def _covering(places: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Places in a word of ``size`` characters, in order and without gaps; one for all of it where there is none."""
    starts = [0, *accumulate((min(start, size) for start, _ in places[1:]), max)]
    ends = accumulate((min(end, size) for _, end in places or [(0, size)]), max)
    return [(start, max(end, after)) for start, end, after in zip(starts, ends, [*starts[1:], size], strict=True)]
