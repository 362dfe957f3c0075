"""Divide examples into splits, and take small subsets: seeded, and stratified by label types."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from rag_lightning.data.near_duplicates import groups_of
from rag_lightning.data.records import Record, Splits
from rag_lightning.errors import UserError

_PREFIX = re.compile(r"[BIESMLUW]-(?=.)")
Key = TypeVar("Key", bound=Hashable)
Types = frozenset[str]


def label_types(record: Record, label_field: str = "tags") -> Types:
    """The kinds of label in a record: entity types for tags and spans, the value of any other label."""
    labels: Any = record.get(label_field)
    if labels is None and label_field == "tags":
        labels = [span["label"] for span in record.get("spans") or ()]
    if not isinstance(labels, (list, tuple)):
        return frozenset() if labels is None else frozenset([str(labels)])
    return frozenset(_PREFIX.sub("", str(label), count=1) for label in set(map(str, labels)) if label != "O")


def divide(records: Sequence[Record], shares: Mapping[str, float], seed: int, label_field: str = "tags") -> Splits:
    """Divide records into ``train`` and the splits of ``shares``.

    Near-duplicates stay together, every set of label types is divided by the same shares, and every label
    type stands in train. Each split keeps the order of the records. The result is the same in every process.

    Raises:
        UserError: too few different examples for one in each split.
    """
    shares = {split: share for split, share in shares.items() if share > 0}
    group = groups_of(records)
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(group):
        members[number].append(index)
    if len(members) <= len(shares):
        raise UserError(
            f"{len(members)} different examples are too few to be divided into train, {' and '.join(shares)}",
            where=records[0]["source"] if records else None,
            remedy="Give more examples, or set data.split.validation=0 and data.split.test=0.",
        )
    types = {
        number: frozenset().union(*(label_types(records[index], label_field) for index in indices))
        for number, indices in members.items()
    }
    targets = {"train": 1 - sum(shares.values()), **shares}
    owner = _assign(members, types, targets, seed)
    _keep_types_in_train(owner, members, types)
    _fill_empty_splits(owner, members, types, targets)
    result: Splits = {split: [] for split in targets}
    for index, record in enumerate(records):
        result[owner[group[index]]].append(record)
    return result


def subset(records: Sequence[Record], size: int, seed: int, label_field: str = "tags") -> list[Record]:
    """``size`` random records, in their order, stratified by label types.

    A smaller subset with the same seed lies inside a larger one. Rare label types come
    first, so that each type is there as soon as ``size`` allows.
    """
    types = [label_types(record, label_field) for record in records]
    spread: list[tuple[float, int, int]] = []
    for stratum in _shuffled_strata(dict(enumerate(types)), seed):
        # Even steps over [0, 1), begun at random: taking the first n takes the same share of every stratum.
        offset = random.Random(f"{seed}/{len(spread)}").random()
        spread += [((rank + offset) / len(stratum), rank, index) for rank, index in enumerate(stratum)]
    order = [index for _, _, index in sorted(spread)]
    chosen = dict.fromkeys(_covering(order, types))
    chosen.update(dict.fromkeys(order))
    return [records[index] for index in sorted(list(chosen)[:size])]


def _shuffled_strata(types: Mapping[Key, Types], seed: int) -> list[list[Key]]:
    """Keys with the same label types, in random order; rare strata first."""
    strata: dict[tuple[str, ...], list[Key]] = defaultdict(list)
    for key, found in types.items():
        strata[tuple(sorted(found))].append(key)
    ordered = sorted(strata.items(), key=lambda item: (len(item[1]), item[0]))
    for name, keys in ordered:
        random.Random(f"{seed}/{name}").shuffle(keys)
    return [keys for _, keys in ordered]


def _assign(
    members: Mapping[int, list[int]], types: Mapping[int, Types], targets: Mapping[str, float], seed: int
) -> dict[int, str]:
    """Each group to the split that lacks most; what a stratum leaves over is carried to the next one."""
    owner: dict[int, str] = {}
    lacking = dict.fromkeys(targets, 0.0)
    for stratum in _shuffled_strata(types, seed):
        for number in sorted(stratum, key=lambda number: -len(members[number])):
            size = len(members[number])
            for split, share in targets.items():
                lacking[split] += share * size
            choice = max(targets, key=lambda split: lacking[split])
            lacking[choice] -= size
            owner[number] = choice
    return owner


def _keep_types_in_train(owner: dict[int, str], members: Mapping[int, list[int]], types: Mapping[int, Types]) -> None:
    """Move the smallest groups that make train know every label type."""
    known = frozenset().union(*(types[number] for number, split in owner.items() if split == "train"))
    for missing in sorted(frozenset().union(*types.values()) - known):
        if missing not in known:
            having = [number for number in owner if missing in types[number]]
            number = min(having, key=lambda number: (len(members[number]), number))
            owner[number] = "train"
            known |= types[number]


def _fill_empty_splits(
    owner: dict[int, str], members: Mapping[int, list[int]], types: Mapping[int, Types], targets: Mapping[str, float]
) -> None:
    """Give an empty split the smallest group whose label types train has elsewhere too."""
    for split in [split for split in targets if split not in owner.values()]:
        in_train = [number for number, name in owner.items() if name == "train"]
        having = Counter(name for number in in_train for name in types[number])
        spare = [number for number in in_train if all(having[name] > 1 for name in types[number])]
        if len(in_train) < 2 or not spare:
            raise UserError(
                f"the examples are too few for a {split} split and every label type in train",
                where="data.split",
                remedy=f"Give more examples, or set data.split.{split}=0.",
            )
        owner[min(spare, key=lambda number: (len(members[number]), number))] = split


def _covering(order: Sequence[int], types: Sequence[Types]) -> list[int]:
    """The first records in ``order`` that together have every label type, the rarest type first."""
    having: dict[str, list[int]] = defaultdict(list)
    for index in order:
        for name in types[index]:
            having[name].append(index)
    chosen: list[int] = []
    covered: set[str] = set()
    for name in sorted(having, key=lambda name: (len(having[name]), name)):
        if name not in covered:
            chosen.append(having[name][0])
            covered |= types[having[name][0]]
    return chosen
