"""Entity-level scores: an entity counts only if its type and both ends are right."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rag_lightning.metrics.rates import Scores, report
from rag_lightning.tasks.evaluation import Table
from rag_lightning.tasks.spans import tags_to_spans

AVERAGES = ("micro avg", "macro avg", "weighted avg")


def entity_scores(gold: Sequence[list[str]], predicted: Sequence[list[str]]) -> Scores:
    """Precision, recall, F1 and support per entity type and averaged: the numbers of seqeval's strict IOB2.

    seqeval's lenient default counts an ``I-`` that follows nothing as an entity; strict does not.

    Returns:
        type or average -> {"precision", "recall", "f1-score", "support"}; empty if there is no entity at all.
    """
    counts: tuple[Counter[str], Counter[str], Counter[str]] = Counter(), Counter(), Counter()
    for tags, answered in zip(gold, predicted, strict=True):
        true, given = set(tags_to_spans(tags)), set(tags_to_spans(answered))
        for counter, spans in zip(counts, (true & given, given, true), strict=True):
            counter.update(kind for _, _, kind in spans)
    kinds = sorted(counts[1].keys() | counts[2].keys())
    if not kinds:
        return {}
    return report(kinds, *(np.array([counter[kind] for kind in kinds]) for counter in counts))


def score_table(title: str, scores: dict[str, dict[str, float]], note: str = "") -> Table:
    """The usual table of such scores, averages last."""
    order = [name for name in scores if name not in AVERAGES] + [name for name in AVERAGES if name in scores]
    rows = tuple(_row(name, scores[name]) for name in order)
    return Table(title, ("", "precision", "recall", "f1", "support"), rows, note)


def _row(name: str, scores: dict[str, float]) -> tuple[str | int | float, ...]:
    return name, scores["precision"], scores["recall"], scores["f1-score"], int(scores["support"])
