"""A text in the units that lexicon entries are made of: words, and single characters of scripts without spaces.

An entry matches whole units only. So ``art`` is not found in ``party``, while 北京 is found in 我在北京, because
Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan are written without spaces between words.
"""

import unicodedata
from functools import lru_cache

import regex

_WITHOUT_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\u30fc"
_IN_WORDS = r"\p{L}\p{N}\p{M}_\u200c\u200d\u00ad"
# Every alternative is consumed or fails at once, so that the whole is linear in the text.
_UNIT = regex.compile(
    rf"""
      [[{_IN_WORDS}]--[{_WITHOUT_SPACES}]]++
    | [{_WITHOUT_SPACES}]\p{{M}}*+
    | \p{{Extended_Pictographic}}(?:\p{{M}}|\p{{Emoji_Modifier}}|\u200d\p{{Extended_Pictographic}})*+  # one emoji
    | [^\s\p{{Z}}\p{{Cc}}\p{{Cf}}\p{{Cs}}]                                          # any other visible sign
    """,
    regex.VERBOSE | regex.VERSION1,
)
_WORD_CHARACTER = regex.compile(rf"[[{_IN_WORDS}]--[{_WITHOUT_SPACES}]]", regex.VERSION1)
_UNSPACED_CHARACTER = regex.compile(rf"[{_WITHOUT_SPACES}]", regex.VERSION1)
# Signs that are typed in several ways and mean the same.
_SAME = {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "‐": "-", "‑": "-", "–": "-"}

Unit = tuple[str, int, int]  # in its normal form, first character, one after the last


def units(text: str) -> list[Unit]:
    """The units of a text with character offsets. White space and invisible characters belong to none. Linear."""
    found = [(match[0], match.start(), match.end()) for match in _UNIT.finditer(text)]
    return found if text.isascii() else [(_normal(unit), start, end) for unit, start, end in found]


def is_boundary(text: str, place: int) -> bool:
    """Whether no word of a script with spaces goes on across this place (between two characters)."""
    return (
        place <= 0
        or place >= len(text)
        or not (_is_word_character(text[place - 1]) and _is_word_character(text[place]))
    )


@lru_cache(maxsize=8192)
def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script that puts no spaces between words."""
    return _UNSPACED_CHARACTER.match(character) is not None


@lru_cache(maxsize=8192)
def _is_word_character(character: str) -> bool:
    return _WORD_CHARACTER.match(character) is not None


def _normal(unit: str) -> str:
    if unit.isascii():
        return unit
    unit = _SAME.get(unit, unit).replace("\u00ad", "")
    return unicodedata.normalize("NFC", unit)
