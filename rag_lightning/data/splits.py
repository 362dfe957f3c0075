"""Divide examples into splits, and take small subsets: seeded, and stratified by label types."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from rag_lightning.data.near_duplicates import groups_of
from rag_lightning.data.reading import TAGGED_TOKENS, Reading
from rag_lightning.data.records import Record, Splits
from rag_lightning.data.values import NAMED_LABELS, READ
from rag_lightning.errors import UserError

_PREFIX = re.compile(r"[BIESMLUW]-(?=.)")
Key = TypeVar("Key", bound=Hashable)
Types = frozenset[str]


def label_types(record: Record, reading: Reading = TAGGED_TOKENS) -> Types:
    """The kinds of label in a record: entity types for tags and spans, else the names of its label or labels.

    Empty where the labels are no names of which there are a few, such as scores, answers or texts.
    """
    field = next((name for name in reading.labels if record.get(name) is not None), None)
    if field is None or not _is_named(field):
        return frozenset()
    value = record[field]
    if field == "spans":
        return frozenset(span["label"] for span in value)
    if field == "tags":
        return frozenset(_PREFIX.sub("", tag, count=1) for tag in set(value) if tag != "O")
    return frozenset(map(str, value if isinstance(value, (list, tuple)) else [value]))


def stratified(records: Sequence[Record], reading: Reading) -> bool:
    """Whether the labels of the records are names, by which examples can be counted."""
    fields = [field for field in reading.labels if _is_named(field)]
    return any(record.get(field) is not None for record in records for field in fields)


def _is_named(field: str) -> bool:
    return field in NAMED_LABELS or field not in READ


def divide(
    records: Sequence[Record],
    shares: Mapping[str, float],
    seed: int,
    reading: Reading = TAGGED_TOKENS,
    *,
    by: str | None = None,
    in_order: bool = False,
) -> Splits:
    """Divide records into ``train`` and the splits of ``shares``.

    Near-duplicates stay together, or instead examples of one value of the field ``by``. Every set of label types is
    divided by the same shares, and every label type stands in train. With ``in_order`` the last examples are for test
    and those before them for validation, whatever their labels. Each split keeps the order of the records. The result
    is the same in every process.

    Raises:
        UserError: too few different examples for one in each split; a record without the field ``by``.
    """
    shares = {split: share for split, share in shares.items() if share > 0}
    if by is not None:
        group = _of_one_value(records, by)
    else:
        group = list(range(len(records))) if in_order else groups_of(records)
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
        number: frozenset().union(*(label_types(records[index], reading) for index in indices))
        for number, indices in members.items()
    }
    targets = {"train": 1 - sum(shares.values()), **shares}
    owner = _last_ones(members, shares, len(records)) if in_order else _assign(members, types, targets, seed)
    if not in_order:
        _keep_types_in_train(owner, members, types)
    _fill_empty_splits(owner, members, types, targets)
    result: Splits = {split: [] for split in targets}
    for index, record in enumerate(records):
        result[owner[group[index]]].append(record)
    return result


def _of_one_value(records: Sequence[Record], by: str) -> list[int]:
    """For each record the place of the first one with the same value of a field."""
    if missing := [record for record in records if by not in record]:
        fields = ", ".join(field for field in missing[0] if field not in ("id", "source"))
        raise UserError(
            f"there is no field `{by}`, by which examples are to be kept together; there is: {fields}",
            where="data.split.by",
            remedy=f"Name one of these, or say where it is with data.fields.{by}=NAME.",
        )
    first_of: dict[str, int] = {}
    return [first_of.setdefault(str(record[by]), place) for place, record in enumerate(records)]


def _last_ones(members: Mapping[int, list[int]], shares: Mapping[str, float], total: int) -> dict[int, str]:
    """From the end of the file whole groups to test until it has its share, then to validation, the rest to train."""
    owner: dict[int, str] = {}
    waiting = sorted(members, reverse=True)  # a group's number is the place of its first record
    for split in sorted(shares, key=("test", "validation").index):
        size = 0
        while waiting and size < shares[split] * total:
            owner[waiting[0]] = split
            size += len(members[waiting.pop(0)])
    return owner | dict.fromkeys(waiting, "train")


def subset(records: Sequence[Record], size: int, seed: int, reading: Reading = TAGGED_TOKENS) -> list[Record]:
    """``size`` random records, in their order, stratified by label types.

    A smaller subset with the same seed lies inside a larger one. Rare label types come
    first, so that each type is there as soon as ``size`` allows.
    """
    types = [label_types(record, reading) for record in records]
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
