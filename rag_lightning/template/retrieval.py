"""Knowledge that resembles an input, looked up in a file of the user's: articles, or past questions with their answers.

Entries are compared by the cosine of tf-idf vectors (Salton and Buckley 1988) of short runs of characters, which finds
``bikes`` for ``bike`` and needs no word borders, so that Chinese works too. Nothing is learnt but how rare a run is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import regex

from rag_lightning.data.records import Record
from rag_lightning.errors import UserError
from rag_lightning.template.context import UNSPACED
from rag_lightning.template.pairs import read_pairs

# What the two texts of an entry are called; a title may be left out.
FORMS = (("title", "text"), ("question", "answer"), ("term", "text"), ("", "text"))
SIZES = (3, 4, 5)  # characters of a run; a word counts with a space on either side
EARLIER = 0.5  # what the turns before count beside the last one: "And on Sundays?" alone finds nothing
_WORD = regex.compile(rf"[{UNSPACED}]+|[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]+", regex.V1)
_HAS_UNSPACED = regex.compile(rf"[{UNSPACED}]", regex.V1)
_REMEMBERED = 50_000  # queries whose entries are kept, for the training examples of every epoch


@dataclass(frozen=True, slots=True)
class Entry:
    """A piece of knowledge: a title or a past question (may be empty), and the text or answer to it."""

    title: str
    text: str

    @property
    def shown(self) -> str:
        """As the slot shows it: ``Parking: six spaces in the yard.``, but ``Can I park? In the yard.``"""
        if not self.title:
            return self.text
        return f"{self.title}{' ' if self.title.endswith(('?', '？', '.', '!', ':')) else ': '}{self.text}"


def read_entries(path: Path) -> tuple[Entry, ...]:
    """The entries of a JSONL or CSV file (``title`` and ``text``, or ``question`` and ``answer``) or a YAML mapping.

    Raises:
        UserError: with file and line, for a missing file, another form, an empty text, or no entry at all.
    """
    entries = []
    for line, title, text in read_pairs(path, FORMS):
        if not text.strip():
            raise UserError("an entry without text", where=f"{path}:{line}", remedy="Write it, or remove the entry.")
        entries.append(Entry(title.strip(), text.strip()))
    if not entries:
        raise UserError("the file has no entry", where=str(path), remedy="Write one or more, as in docs/templates.md.")
    return tuple(entries)


class Similar:
    """Finds the entries that resemble a text.

    Args:
        entries: what may be found, at least one.
        most: how many of them at a time.
        least: similarity from which an entry counts, in [0, 1].
    """

    def __init__(self, entries: Sequence[Entry], most: int = 3, least: float = 0.0) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.entries, self.most, self.least = tuple(entries), most, least
        self._vectorizer = TfidfVectorizer(analyzer=_runs, sublinear_tf=True, dtype=np.float32)
        self._vectors = self._vectorizer.fit_transform([f"{each.title} {each.text}" for each in self.entries])
        self._found: dict[tuple[str, str], tuple[Entry, ...]] = {}

    def prepare(self, queries: Sequence[tuple[str, str]]) -> None:
        """Look up many queries at once, which is cheaper; :meth:`find` then knows them."""
        new = list(dict.fromkeys(query for query in queries if query not in self._found))
        if len(self._found) + len(new) > _REMEMBERED:
            self._found.clear()
        for start in range(0, len(new), 1000):
            part = new[start : start + 1000]
            scores = self._scores([text for text, _ in part]) + EARLIER * self._scores([before for _, before in part])
            self._found.update(zip(part, (self._best(row) for row in scores), strict=True))

    def find(self, text: str, before: str = "") -> tuple[Entry, ...]:
        """The entries most similar to a text, the most similar first.

        Args:
            text: what is asked.
            before: what was said before, which counts half.
        """
        if (text, before) not in self._found:
            self.prepare([(text, before)])
        return self._found[text, before]

    def _scores(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, entries) cosines."""
        scores: np.ndarray = (self._vectorizer.transform(texts) @ self._vectors.T).toarray()
        return scores

    def _best(self, scores: np.ndarray) -> tuple[Entry, ...]:
        order = np.argsort(-scores, kind="stable")[: self.most]
        return tuple(self.entries[i] for i in order if scores[i] > 0 and scores[i] >= self.least)


def earlier_turns(record: Record) -> str:
    """What was said before an example's text, if it is part of a dialogue."""
    turns: Sequence[dict[str, Any]] = record.get("turns") or ()
    return " ".join(str(turn["text"]) for turn in turns)


def _runs(text: str) -> Iterator[str]:
    """Short runs of the characters of each word; where words have no borders, single characters and pairs."""
    for word in _WORD.findall(text.casefold()):
        if _HAS_UNSPACED.match(word):
            yield from word
            yield from (word[i : i + 2] for i in range(len(word) - 1))
            continue
        padded = f" {word} "
        for size in SIZES:
            if len(padded) <= size:  # a short word counts once
                yield padded
                break
            yield from (padded[i : i + size] for i in range(len(padded) - size + 1))
