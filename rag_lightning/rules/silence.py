"""Words of weakly labelled sentences that may be names which no rule knows.

Rules find a part of the names. To take every other word as outside of names teaches a model not to find the rest, which
costs more than the lack of labels (Li, Liu and Shi 2021, "Empirical Analysis of Unlabeled Entity Problem in NER"). Such
words are left without label: they take no part in the loss.
"""

from collections.abc import Iterable, Sequence

from rag_lightning.data.records import Record
from rag_lightning.rules.hits import hit_from_json
from rag_lightning.tasks.spans import OUTSIDE


def small_words(records: Iterable[Record]) -> frozenset[str]:
    """All words that stand somewhere in small letters; written with a capital they are no sign of a name."""
    return frozenset(word for record in records for word in record["tokens"] if word[:1].islower())


def leave_open(records: Sequence[Record], common: frozenset[str]) -> list[Record]:
    """The records with the tag None instead of O at words like names on which no rule says anything.

    Like names are words with a capital letter that never stand in small letters; scripts without capitals have none.

    Args:
        records: with ``tokens``, ``tags`` by the rules, and ``hits`` (a veto speaks too: its words stay outside).
        common: the words that stand in small letters.
    """
    return [{**record, "tags": _opened(record, common)} for record in records]


def _opened(record: Record, common: frozenset[str]) -> list[str | None]:
    hits = [hit for hit in map(hit_from_json, record["hits"]) if hit.label is not None]  # a mark says nothing
    spoken = {place for hit in hits for place in range(hit.start, hit.end)}
    return [
        None if tag == OUTSIDE and place not in spoken and word[:1].isupper() and word.lower() not in common else tag
        for place, (word, tag) in enumerate(zip(record["tokens"], record["tags"], strict=True))
    ]
