"""The labels of whole examples, one or several each: which there are, which examples they fit, what they weigh."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from rag_lightning.data.records import Record, Splits
from rag_lightning.errors import UserError, nearest

ClassWeights = Literal["none", "balanced"] | dict[str, float]
_MOST_SHOWN = 20


def labels_of(record: Record) -> list[str]:
    """The labels of a record with ``labels`` or one ``label``; none where it is not labelled."""
    if record.get("labels") is not None:
        return list(record["labels"])
    return [] if record.get("label") is None else [record["label"]]


def in_order(labels: Iterable[str]) -> list[str]:
    """Alphabetical; labels that are whole numbers by their size, before the others."""
    return sorted(labels, key=lambda label: (0, int(label), label) if label.isdecimal() else (1, 0, label))


def known_labels(splits: Splits, given: Sequence[str] | None, least: int = 2) -> list[str]:
    """All labels: those that the user names, else those of the training data, in order.

    Args:
        splits: with ``train``, unless ``given`` says it all.
        given: the option ``task.labels``.
        least: how many there must be.

    Raises:
        UserError: if there are fewer.
    """
    train = splits.get("train", [])
    labels = (
        list(dict.fromkeys(given)) if given is not None else in_order({name for r in train for name in labels_of(r)})
    )
    if len(labels) < least:
        only = f"{labels[0]!r} is the only label" if labels else "there is no label"
        raise UserError(
            f"{only}{'' if given is not None else ' of the training data'}, so that nothing can be told apart",
            where="task.labels" if given is not None or not train else train[0]["source"],
            remedy="Check the column with data.fields.label=…; at least two labels are needed."
            if least > 1
            else "Check the column with data.fields.labels=….",
        )
    return labels


def check_known(splits: Splits, labels: Sequence[str], given: bool) -> None:
    """Raise a UserError for a label that is not among ``labels``, with the place where it stands.

    Args:
        given: whether the user named the labels, or, where there is no train, a finished run has them.
    """
    known = set(labels)
    finished = given and "train" not in splits
    for name, records in splits.items():
        for record in records:
            for label in labels_of(record):
                if label not in known:
                    if finished:
                        raise _foreign(label, list(labels), name, record)
                    raise _unknown(label, list(labels), name, record, given)


def _foreign(label: str, labels: list[str], split: str, record: Record) -> UserError:
    close = nearest(label, labels)
    name = close[0] if close else labels[0]
    return UserError(
        f"the {split} data have the label {label!r}, which the run does not know ({_first_of(labels)})",
        where=record["source"],
        remedy="It answers with its own labels only: call every label of the data by one of their names, as in "
        f"'data.label_names={{{label}: {name}, …}}'.",
    )


def _unknown(label: str, labels: list[str], split: str, record: Record, given: bool) -> UserError:
    origin = "task.labels" if given else "the training data"
    close = nearest(label, labels)
    hint = f"Misspelt {close[0]}? Else name" if close else "Name"
    listed = f"'task.labels=[{','.join([*labels, label])}]'" if len(labels) <= _MOST_SHOWN else "task.labels=[…]"
    return UserError(
        f"the {split} data have the label {label!r}, which {origin} does not have ({_first_of(labels)})",
        where=record["source"],
        remedy=f"{hint} all labels: {listed}.",
    )


def _first_of(labels: list[str]) -> str:
    return ", ".join(labels[:_MOST_SHOWN]) + (" …" if len(labels) > _MOST_SHOWN else "")


def notes_on(
    train: Sequence[Record], labels: Sequence[str], text_of: Callable[[Record], str], noun: str = "text"
) -> list[str]:
    """What a reader of the results should know: equal texts with different labels, labels without an example.

    Args:
        text_of: what of a record is the same in equal examples.
        noun: what an example is called.
    """
    notes = []
    found: dict[str, set[tuple[str, ...]]] = {}
    for record in train:
        found.setdefault(" ".join(text_of(record).split()), set()).add(tuple(sorted(labels_of(record))))
    if several := sum(len(names) > 1 for names in found.values()):
        verb = "stands" if several == 1 else "stand"
        notes.append(f"{several:,} {noun}{'' if several == 1 else 's'} of train {verb} there with different labels.")
    counts = Counter(label for record in train for label in labels_of(record))
    without = [label for label in labels if not counts[label]]
    if train and without:
        shown = ", ".join(without[:10]) + (" …" if len(without) > 10 else "")
        notes.append(f"{len(without)} of {len(labels)} labels have no training example: {shown}.")
    return notes


def absent_note(split: str, gold: Iterable[str], labels: Sequence[str]) -> list[str]:
    """That some labels do not occur in a split, if so."""
    there = set(gold)
    absent = [label for label in labels if label not in there]
    shown = ", ".join(absent[:10]) + (" …" if len(absent) > 10 else "")
    return [f"{len(absent)} of {len(labels)} labels do not occur in {split}: {shown}."] if absent else []


def weighted(splits: Splits, labels: Sequence[str], weights: ClassWeights) -> Splits:
    """The splits, in which each training example has the ``weight`` of its labels (the mean of several).

    Args:
        weights: ``balanced`` gives a label the weight ``n / (k * n_label)``, where n counts the labels of all training
            examples and k the labels that occur: all labels then weigh the same in sum. Or the weight of each label; a
            label that is not named has 1.

    Raises:
        UserError: for a weight of a label that there is not, or one that is not above 0.
    """
    if weights == "none":
        return splits
    train = splits.get("train", [])
    if isinstance(weights, Mapping):
        _check_weights(weights, labels)
        by_label = {str(label): float(weight) for label, weight in weights.items()}
    else:
        counts = Counter(label for record in train for label in labels_of(record))
        by_label = {label: counts.total() / (len(counts) * number) for label, number in counts.items()}

    def weight_of(record: Record) -> float:
        own = [by_label.get(label, 1.0) for label in labels_of(record)]
        return sum(own) / len(own) if own else 1.0

    return {**splits, "train": [{**record, "weight": weight_of(record)} for record in train]}


def _check_weights(weights: Mapping[str, float], labels: Sequence[str]) -> None:
    for label, weight in weights.items():
        if label not in labels:
            close = nearest(str(label), list(labels))
            raise UserError(
                f"there is no label {label!r}",
                where="task.class_weights",
                remedy=f"Did you mean {close[0]!r}?" if close else f"The labels are: {', '.join(labels[:20])}.",
            )
        if not weight > 0:
            raise UserError(
                f"the weight of {label!r} is {weight}",
                where="task.class_weights",
                remedy="Give a number above 0; 1 is the weight of a label that is not named.",
            )
