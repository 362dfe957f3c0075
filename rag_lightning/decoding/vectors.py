"""Decoded vectors, or their cosines, to how alike two texts are."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rag_lightning.data.records import Record
from rag_lightning.decoding.one_label import answered_once

LINE = "rag_lightning_score_line"  # in the config of a network: slope and start of the line from cosines to scores


def assemble_scores(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...], config: Any = None
) -> list[dict[str, Any]]:
    """Per record ``{"score", "cosine", "cut"}``: the score lies on the line that :func:`choose_line` found, else as
    far up the scale as the cosine is between 0 and 1."""
    low, high = map(float, labels)
    slope, start = getattr(config, LINE, (1.0, 0.0))
    found = answered_once(records, decoded, {"cosine": 1, "cut": 1})
    heights = np.clip(slope * found["cosine"][:, 0] + start, 0.0, 1.0)
    return [
        {"score": round(low + (high - low) * float(height), 4), "cosine": float(cosine), "cut": int(cut)}
        for height, cosine, cut in zip(heights, found["cosine"][:, 0], found["cut"][:, 0], strict=True)
    ]


def is_related(record: Record, labels: Sequence[str]) -> bool:
    """Whether a pair belongs together: it has the last one of the labels, or none because all do."""
    return record.get("label") in (None, labels[-1])


def assemble_similarity(
    records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...], among_all: bool = False
) -> list[dict[str, Any]]:
    """Per record ``{"score", "cut"}``, the cosine; with ``among_all`` also ``better`` and ``equal``, which count the
    second texts of other pairs that are more alike to the first text, or as much, what belongs to it left out, ``of``
    so many."""
    width = decoded[0]["first"].shape[1] if decoded else 1
    found = answered_once(records, decoded, {"first": width, "second": width, "cut": 1})
    cosines = (found["first"] * found["second"]).sum(axis=1)
    answers = [
        {"score": round(float(cosine), 4), "cut": int(cut)}
        for cosine, cut in zip(cosines, found["cut"][:, 0], strict=True)
    ]
    if among_all:
        ranks = _ranks(records, found["first"], found["second"], labels)
        answers = [{**answer, **rank} for answer, rank in zip(answers, ranks, strict=True)]
    return answers


def _ranks(
    records: Sequence[Record], first: np.ndarray, second: np.ndarray, labels: Sequence[str]
) -> list[dict[str, int]]:
    places: dict[str, int] = {}  # each second text once
    for row, record in enumerate(records):
        places.setdefault(record["second"], row)
    column = {text: number for number, text in enumerate(places)}
    candidates = second[list(places.values())]
    right: dict[str, set[int]] = {}
    for record in records:
        if is_related(record, labels):
            right.setdefault(record["first"], set()).add(column[record["second"]])
    ranks = []
    for row, record in enumerate(records):
        own = column[record["second"]]
        scores = candidates @ first[row]
        others = np.ones(len(candidates), dtype=bool)
        others[[own, *right.get(record["first"], ())]] = False
        # Copies differ by rounding: what is as alike to seven digits is equal.
        better, least = (int((scores[others] > scores[own] + margin).sum()) for margin in (1e-7, -1e-7))
        ranks.append({"better": better, "equal": least - better, "of": int(others.sum())})
    return ranks
