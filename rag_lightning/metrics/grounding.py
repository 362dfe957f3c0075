"""How much of a written answer stands in what it was to be drawn from."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import regex

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['’][\p{L}]+)?")


def content_words(text: str) -> list[str]:
    """The words of an English text that are no function words, in lower case, endings cut (Porter 1980)."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    words = [word.replace("’", "'") for word in _WORD.findall(text.lower())]
    # Of a contraction (don't, you'll) nothing is content but what stands before a possessive s.
    plain = [word.removesuffix("'s") for word in words if "'" not in word or word.endswith("'s")]
    return [_stem(word) for word in plain if word not in ENGLISH_STOP_WORDS]


def grounded_share(answers: Sequence[str], contexts: Sequence[str]) -> float:
    """The mean share of an answer's content words that its context holds too.

    It tells what was made up, not whether the answer is right. An answer without content words counts 0, so that
    silence is not rewarded.

    Args:
        answers: English texts.
        contexts: for each answer what it was to be drawn from.

    Raises:
        ValueError: there are none, or they differ in number.
    """
    if not answers:
        raise ValueError("there is no answer")
    shares = []
    for answer, context in zip(answers, contexts, strict=True):
        words, known = content_words(answer), set(content_words(context))
        shares.append(sum(word in known for word in words) / len(words) if words else 0.0)
    return sum(shares) / len(shares)


def _stem(word: str) -> str:
    return str(_stemmer().stem(word))


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()
