"""Running text as passages of a few sentences, in an order that a seed gives."""

import re
from collections.abc import Iterator
from typing import Literal

import numpy as np

from rag_lightning.data.load import load_splits
from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.errors import UserError

READING = Reading(fields=("text", "tokens"))
_FEWEST = 4  # words: headings and bare numbers say nothing
# Behind a full stop, question or exclamation mark, with a closing quote or bracket, and a space; or behind a CJK one.
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[。！？])")


def general_passages(
    config: DataConfig, split: Literal["train", "validation"], *, words: int, limit: int | None, seed: int
) -> list[str]:
    """Passages of at most ``words`` words, whole sentences where they fit, without repetitions, in random order.

    Args:
        config: running text; a split that it lacks is cut from train. What keeps knowledge reads train, what measures
            it reads validation.
        limit: of them; None: all.
        seed: of the order, and so of which are taken.

    Raises:
        UserError: for a mistake in the files or the config, or if there is no passage.
    """
    splits = load_splits(config, config.split.seed, READING).splits
    texts = splits["train"] if split == "train" else splits.get("validation", [])
    found = list(dict.fromkeys(passage for record in texts for passage in passages(_text(record), words)))
    if not found:
        raise UserError(
            f"the general text has no passage of {_FEWEST} words for {split}",
            where="general_text.path",
            remedy="Give more text; validation is cut from train where there is none (general_text.split.validation).",
        )
    order = np.random.default_rng(seed).permutation(len(found))
    return [found[place] for place in order[:limit]]


def passages(text: str, words: int) -> Iterator[str]:
    """A paragraph cut into passages of at most ``words`` words (in text without spaces: twice as many characters)."""
    begun: list[str] = []
    length = 0
    for sentence in filter(None, (each.strip() for each in _SENTENCE_END.split(text))):
        size = _size(sentence)
        if begun and length + size > words:
            yield " ".join(begun)
            begun, length = [], 0
        while size > words:  # one sentence alone is too long
            head, sentence = _cut(sentence, words)
            yield head
            size = _size(sentence)
        if sentence:
            begun.append(sentence)
            length += size
    if begun and length >= _FEWEST:
        yield " ".join(begun)


def _size(text: str) -> int:
    """In words; a Chinese or Japanese word has about two characters."""
    parts = text.split()
    return sum(max(1, len(part) // 2) if _has_no_spaces(part) else 1 for part in parts)


def _has_no_spaces(part: str) -> bool:
    return any("\u3040" <= character <= "\u9fff" for character in part)


def _cut(sentence: str, words: int) -> tuple[str, str]:
    parts = sentence.split()
    if _has_no_spaces(parts[0]) and _size(parts[0]) > words:
        return sentence[: 2 * words], sentence[2 * words :].strip()
    end = next((n for n in range(1, len(parts)) if _size(" ".join(parts[: n + 1])) > words), len(parts))
    return " ".join(parts[:end]), " ".join(parts[end:])


def _text(record: dict[str, object]) -> str:
    text = record.get("text")
    return str(text) if text is not None else " ".join(record["tokens"])  # type: ignore[arg-type]
