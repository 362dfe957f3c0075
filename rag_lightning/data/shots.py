"""Few-shot training data: a few examples keep their labels, the others become the unlabelled pool."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rag_lightning.data.options import DataConfig
from rag_lightning.data.reading import Reading
from rag_lightning.data.records import Record
from rag_lightning.data.splits import label_types, stratified, subset
from rag_lightning.errors import UserError

_NO_LABEL = ""  # sentences without entity count as a label of their own


@dataclass(frozen=True)
class Shots:
    """Training examples that keep their labels, the others without, and what a reader should know of it."""

    chosen: list[Record]
    pool: list[Record]
    notes: list[str]


def take_shots(records: Sequence[Record], config: DataConfig, seed: int, reading: Reading) -> Shots:
    """Choose ``config.shots`` examples in all, or ``config.shots_per_label`` of each label.

    The choice is random, by ``config.shots_seed`` (else ``seed``), stratified by labels, and nested: fewer shots with
    the same seed lie among more. For tags a shot is a sentence, and a label is a type of entity.

    Raises:
        UserError: if more are asked for than there are, or a number for each label where labels are no names.
    """
    if config.shots_per_label is not None and not stratified(records, reading):
        raise UserError(
            f"examples cannot be counted by their {reading.labels[0] if reading.labels else 'labels'}",
            where="data.shots_per_label",
            remedy="Set data.shots, the number of examples in all.",
        )
    seed = seed if config.shots_seed is None else config.shots_seed
    if config.shots_per_label is not None:
        chosen, rare = _per_label(records, config.shots_per_label, seed, reading)
        key, number = "data.shots_per_label", config.shots_per_label
    else:
        assert config.shots is not None
        key, number, rare = "data.shots", config.shots, {}
        chosen = subset(records, number, seed, reading)
    if number > len(records):
        raise UserError(
            f"{key}={number:,} is more than the {len(records):,} training examples",
            where=key,
            remedy=f"Choose at most {len(records):,}, or null for all of them.",
        )
    own = {id(record) for record in chosen}
    pool = [without_labels(record, reading) for record in records if id(record) not in own]
    return Shots(chosen, pool, [_note(len(chosen), len(records), key, number, seed), *_rare_note(rare, number)])


def without_labels(record: Record, reading: Reading) -> Record:
    """A record as if nobody had labelled it."""
    return {field: value for field, value in record.items() if field not in reading.labels}


def _per_label(
    records: Sequence[Record], number: int, seed: int, reading: Reading
) -> tuple[list[Record], dict[str, int]]:
    """``number`` examples of each label as far as there are, and the labels that have fewer.

    The labels take turns, the rarest first, so that what is chosen for fewer shots is chosen first for more. An
    example with several labels counts for each.
    """
    having: dict[str, list[int]] = defaultdict(list)
    labels = [label_types(record, reading) or {_NO_LABEL} for record in records]
    for index, found in enumerate(labels):
        for label in sorted(found):
            having[label].append(index)
    order = sorted(having, key=lambda label: (len(having[label]), label))
    for label in order:
        random.Random(f"{seed}/{label}").shuffle(having[label])
    waiting = {label: iter(having[label]) for label in order}
    chosen: dict[int, None] = {}
    counts: Counter[str] = Counter()
    for target in range(1, number + 1):
        for label in order:
            while counts[label] < target:
                new = next((index for index in waiting[label] if index not in chosen), None)
                if new is None:
                    break
                chosen[new] = None
                counts.update(labels[new])
    rare = {label: counts[label] for label in order if counts[label] < number}
    return [records[index] for index in sorted(chosen)], rare


def _note(chosen: int, total: int, key: str, number: int, seed: int) -> str:
    return (
        f"{chosen:,} of {total:,} training examples keep their labels ({key}={number:,}, seed {seed}); the other "
        f"{total - chosen:,} are the unlabelled pool."
    )


def _rare_note(rare: dict[str, int], number: int) -> list[str]:
    if not rare:
        return []
    shown = ", ".join(f"{label or 'no label'} {count}" for label, count in list(rare.items())[:10])
    more = f" and {len(rare) - 10} more" if len(rare) > 10 else ""
    return [f"{len(rare)} label{'' if len(rare) == 1 else 's'} with fewer than {number} examples: {shown}{more}."]
