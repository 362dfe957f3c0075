"""Running text as words, and entities as spans of characters or of words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import regex

OUTSIDE = "O"  # the tag of words that belong to no entity
Word = tuple[str, int, int]  # the word, its first character, and the one after its last

_IDEOGRAPH = r"[\p{Han}\p{Hiragana}\p{Katakana}\u30fc]"
_LETTERS = rf"(?:(?!{_IDEOGRAPH})[\p{{L}}\p{{N}}\p{{M}}_\u200c\u200d\u00ad])++"
_CLITIC = r"(?i:s|re|ve|ll|d|m)\b"
# Every alternative either fails at once or is consumed, so that the whole is linear in the text.
_PIECE = regex.compile(
    rf"""
      \s++
    | {_IDEOGRAPH}\p{{M}}*+                                  # one word each
    | (?:https?://|www\.)[^\s<>"]*[\p{{L}}\p{{N}}/]             # addresses
    | (?:\p{{Lu}}\.){{2,}}+(?:-{_LETTERS})*+ | (?!I)\p{{Lu}}\.(?=\s+\p{{Lu}})  # U.S.-based, J. Smith
    | [@\#]?{_LETTERS}                                       # words with what joins them: O'Neill, 3.5
      (?:(?:[-.&@]|(?<=\p{{N}})[,:/](?=\p{{N}})|['’](?!{_CLITIC})){_LETTERS})*+
    | ['’]{_CLITIC}                                          # it 's
    | \.{{2,}}+ | -{{2,}}+
    | [\U0001F1E6-\U0001F1FF]{{1,2}}+                         # flags (\X is quadratic in a row of them)
    | \X                                                     # any other sign; emoji sequences stay whole
    """,
    regex.VERBOSE | regex.VERSION1,
)
_INVISIBLE = regex.compile(r"[\p{Z}\p{C}]++")
_ABBREVIATIONS = frozenset(
    ("Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Jr", "Sr", "Inc", "Ltd", "Co", "Corp", "Gen", "Sen", "Rep", "Gov", "vs")
)


def words_with_offsets(text: str) -> list[Word]:
    """Words and punctuation marks of a text, with character offsets (end exclusive), much as CoNLL has them.

    Hyphens, apostrophes and points inside a word stay (``O'Neill``, ``U.S.``, ``3.5``); other punctuation and
    clitics (``'s``) are words of their own. CJK characters are one word each; combining marks and emoji
    sequences stay whole. White space and characters that are invisible by themselves belong to no word.
    Linear in the text.
    """
    return list(_words(text))


def spans_to_tags(words: Sequence[Word], spans: Sequence[Mapping[str, Any]]) -> tuple[list[str], int]:
    """IOB2 tags of the words, and how many spans could not be kept as they are.

    A span that cuts a word is widened to it; a word that two spans share goes to the first of them.

    Args:
        words: in the order of the text, as :func:`words_with_offsets` gives them.
        spans: ``{"start", "end", "label"}`` in characters, end exclusive, not overlapping.
    """
    tags, changed, first = ["O"] * len(words), 0, 0
    for span in sorted(spans, key=lambda span: (span["start"], span["end"])):
        while first < len(words) and words[first][2] <= span["start"]:
            first += 1
        last = first
        while last < len(words) and words[last][1] < span["end"]:
            last += 1
        covered = [index for index in range(first, last) if tags[index] == "O"]
        for number, index in enumerate(covered):
            tags[index] = f"{'I' if number else 'B'}-{span['label']}"
        whole = covered and words[covered[0]][1] >= span["start"] and words[covered[-1]][2] <= span["end"]
        changed += not (whole and len(covered) == last - first)
    return tags, changed


def tags_to_spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The entities of IOB2 tags as (first word, one after the last word, type).

    Strict as in seqeval's IOB2: an ``I-`` that continues nothing is no entity (see ``repair_iob2``).
    """
    spans: list[tuple[int, int, str]] = []
    start, kind = -1, ""
    for index, tag in enumerate([*tags, "O"]):
        if start >= 0 and tag != f"I-{kind}":
            spans.append((start, index, kind))
            start = -1
        if tag.startswith("B-"):
            start, kind = index, tag[2:]
    return spans


def _words(text: str) -> Iterator[Word]:
    taken = 0
    for match in _PIECE.finditer(text):
        start, end = match.span()
        if start < taken or _INVISIBLE.fullmatch(text, start, end) or text[start].isspace():
            continue
        if end < len(text) and text[end] == "." and end - start < 5 and text[start:end] in _ABBREVIATIONS:
            end += 1
        taken = end
        yield text[start:end], start, end
