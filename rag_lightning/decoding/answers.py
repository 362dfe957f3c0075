"""From the best stretches of every window to the answers of every question."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rag_lightning.data.records import Record

N_BEST = 5
THRESHOLD = "no_answer_threshold"  # in the network's config, hence in the saved one
HOPELESS = -1e4  # the score of the best answer where the text has no word


def assemble(
    records: Sequence[Record],
    decoded: Sequence[dict[str, Any]],
    labels: tuple[str, ...],
    *,
    n_best: int = N_BEST,
    config: Any = None,
) -> list[dict[str, Any]]:
    """The best answers of each question over all windows.

    Args:
        n_best: different answers of a question that are kept.
        config: of the network; its ``no_answer_threshold``, if it is a number, is that of silence.

    Returns:
        Per record ``answer`` ("" for none), ``confidence``, ``start`` and ``end`` (characters, None for no answer),
        ``n_best`` (the likeliest first, each ``answer``, ``confidence``, ``start``, ``end``), ``no_answer`` (the
        smallest probability of no answer among the windows), ``difference`` (its logarithm less that of the best
        answer's probability) and ``threshold`` (of the difference, from which on there is no answer; or None).

    Raises:
        RuntimeError: if a window is missing or there twice (a defect, never to be passed over).
    """
    _check_windows(len(records), decoded)
    silence = np.full(len(records), np.inf)
    for part in decoded:
        np.minimum.at(silence, part["example"], part["no_answer"])
    best: list[dict[str, dict[str, Any]]] = [{} for _ in records]
    for number, score, begin, end in _candidates(decoded):
        answer = records[number]["text"][begin:end]
        if answer and answer not in best[number] and len(best[number]) < n_best:
            best[number][answer] = {"answer": answer, "score": score, "start": begin, "end": end}
    threshold = getattr(config, THRESHOLD, None)
    return [_prediction(list(found.values()), float(no), threshold) for found, no in zip(best, silence, strict=True)]


def _check_windows(n_records: int, decoded: Sequence[dict[str, Any]]) -> None:
    expected, found = np.zeros(n_records, dtype=np.int64), np.zeros(n_records, dtype=np.int64)
    seen: set[tuple[int, int]] = set()
    for part in decoded:
        expected[part["example"]] = part["windows"]
        np.add.at(found, part["example"], 1)
        seen.update(zip(part["example"].tolist(), part["window"].tolist(), strict=True))
    if (expected == 0).any() or (expected != found).any() or len(seen) != found.sum():
        raise RuntimeError("the windows of some texts were not answered exactly once each")


def _candidates(decoded: Sequence[dict[str, Any]]) -> list[tuple[int, float, int, int]]:
    """Record, score and characters of all stretches of all windows, the best first."""
    if not decoded:
        return []
    columns = [
        np.concatenate([np.broadcast_to(np.expand_dims(part["example"], 1), part["score"].shape).ravel()
                        if name == "example" else part[name].ravel() for part in decoded])
        for name in ("example", "score", "begin", "end")
    ]  # fmt: skip
    real = np.isfinite(columns[1])
    example, score, begin, end = (column[real] for column in columns)
    order = np.lexsort((end, begin, -score))
    return list(zip(*(column[order].tolist() for column in (example, score, begin, end)), strict=True))


def _prediction(found: list[dict[str, Any]], silence: float, threshold: float | None) -> dict[str, Any]:
    best = found[0]["score"] if found else HOPELESS
    n_best = [
        {"answer": each["answer"], "confidence": _probability(each["score"])}
        | {name: each[name] for name in ("start", "end")}
        for each in found
    ]
    none = {"answer": "", "confidence": _probability(silence), "start": None, "end": None}
    is_silent = not found or (threshold is not None and silence - best > threshold)
    further = {"no_answer": _probability(silence), "difference": silence - best, "threshold": threshold}
    return {**(none if is_silent else n_best[0]), "n_best": n_best, **further}


def _probability(logarithm: float) -> float:
    return round(float(np.exp(logarithm)), 4)
