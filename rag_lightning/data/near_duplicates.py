"""Groups of examples that are nearly the same (Broder 1997, min-wise hashing)."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag_lightning.data.records import Record

# 16 bands of 4 values: a pair of Jaccard similarity 0.7 meets in one of them with probability 0.99.
_BANDS, _ROWS = 16, 4
# No words of an example: what names it, and what is to be answered.
_NO_TEXT = ("id", "source", "document", "label", "target")
_SIMILAR = 0.7
# Members of a bucket are compared with the last few before them only: thousands of copies stay linear.
_COMPARED = 4


def groups_of(records: Sequence[Record]) -> list[int]:
    """For each record the number of its group, which near-duplicates share.

    Near-duplicates have a Jaccard similarity of words and word pairs of at least 0.7. The number is the index
    of the group's first record. Linear in the text.
    """
    shingles = [_shingles(record) for record in records]
    leader = list(range(len(records)))

    def root(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    first_of: dict[frozenset[str], int] = {}
    for index, found in enumerate(shingles):
        leader[index] = first_of.setdefault(found, index)
    distinct = list(first_of.values())
    signatures = _signatures([shingles[index] for index in distinct])
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for index, signature in zip(distinct, signatures[:, band * _ROWS : (band + 1) * _ROWS], strict=True):
            bucket = buckets[signature.tobytes()]
            for other in bucket[-_COMPARED:]:
                a, b = root(index), root(other)
                if a != b and _similarity(shingles[index], shingles[other]) >= _SIMILAR:
                    leader[max(a, b)] = min(a, b)
            bucket.append(index)
    return [root(index) for index in range(len(records))]


def words_of(record: Record) -> list[str]:
    """The words by which records are compared: the tokens, or all text in the record beside its labels."""
    if "tokens" in record:
        return list(record["tokens"])
    texts = [value for field, value in record.items() if isinstance(value, str) and field not in _NO_TEXT]
    texts += [turn["text"] for turn in record.get("turns") or ()]
    words = " ".join(texts).split()
    # Text without spaces between words is compared by its characters.
    return words if sum(map(len, words)) < 15 * len(words) else list("".join(words))


def _shingles(record: Record) -> frozenset[str]:
    words = [word.lower() for word in words_of(record)]
    return frozenset(words) | {f"{a} {b}" for a, b in zip(words, words[1:], strict=False)}


def _similarity(a: frozenset[str], b: frozenset[str]) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def _signatures(sets: Sequence[frozenset[str]]) -> NDArray[np.uint64]:
    """Min-hash signatures [sets, bands * rows] with fixed hash functions (the same in every process)."""
    numbers: dict[str, int] = {}
    for found in sets:
        for shingle in found:
            if shingle not in numbers:
                digest = hashlib.blake2b(shingle.encode("utf-8"), digest_size=8).digest()
                numbers[shingle] = int.from_bytes(digest, "little")
    # An empty set gets one value of its own, reduceat needs at least one.
    flat = np.array([numbers[s] for found in sets for s in found or ()] + [0], dtype=np.uint64)
    sizes = np.array([len(found) for found in sets], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(sets) else np.zeros(0, dtype=np.int64)
    random = np.random.Generator(np.random.PCG64(1))
    result = np.zeros((len(sets), _BANDS * _ROWS), dtype=np.uint64)
    for column in range(_BANDS * _ROWS):
        multiplier, offset = random.integers(1, 2**63, size=2, dtype=np.uint64)
        mixed = flat * (multiplier | np.uint64(1)) + offset  # wraps around: multiply-shift hashing
        if len(sets):
            result[:, column] = np.minimum.reduceat(mixed >> np.uint64(16), starts)
    return result
