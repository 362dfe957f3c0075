"""Scores of directed relations, counted as by the official scorer (version 1.2) of SemEval-2010 Task 8.

Hendrickx et al. 2010, "SemEval-2010 Task 8: Multi-Way Classification of Semantic Relations Between Pairs of Nominals".
The scorer's "(9+1)-way evaluation taking directionality into account": the two directions of a relation are one class,
and a prediction of the right relation in the wrong direction is a miss of that class and a false alarm for it.
``Other`` takes no part in the averages, but a relation predicted where ``Other`` is right costs precision, the reverse
recall.
"""

import re
from collections import Counter
from collections.abc import Sequence

_DIRECTION = re.compile(r"\s*\(\s*\w+\s*,\s*\w+\s*\)$")
OTHER = "Other"


def undirected(label: str) -> str:
    """The relation without its direction: ``Cause-Effect`` of ``Cause-Effect(e2,e1)``."""
    return _DIRECTION.sub("", label)


def relation_table(gold: Sequence[str], predicted: Sequence[str], other: str = OTHER) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of each relation that occurs in gold, with macro and micro averages.

    A relation that is predicted but never right counts as ``other``, as in the official scorer.

    Args:
        gold: directed labels such as ``Cause-Effect(e1,e2)``; a label without direction is a relation of one direction.
        predicted: in the same order.
        other: the label for none of the relations.

    Returns:
        relation, "micro avg" or "macro avg" -> {"precision", "recall", "f1-score", "support"}, all in [0, 1] but
        the support. The macro averages are means over the relations: its F1 is not that of its precision and recall.

    Raises:
        ValueError: gold and predicted differ in number.
    """
    right = Counter(undirected(g) for g, p in zip(gold, predicted, strict=True) if g == p)
    support = Counter(map(undirected, gold))
    answers = Counter(map(undirected, predicted))
    relations = sorted(support.keys() - {other})
    rows = {name: _scores(right[name], answers[name], support[name]) for name in relations}
    totals = [sum(counts[name] for name in relations) for counts in (right, answers, support)]
    macro = {
        key: sum(row[key] for row in rows.values()) / max(len(rows), 1) for key in ("precision", "recall", "f1-score")
    }
    return {**rows, "micro avg": _scores(*totals), "macro avg": {**macro, "support": float(totals[2])}}


def relation_scores(gold: Sequence[str], predicted: Sequence[str], other: str = OTHER) -> dict[str, float]:
    """The official score, "macro_f1", with its parts. Arguments as for :func:`relation_table`.

    Returns:
        "macro_f1", "macro_precision", "macro_recall", "micro_f1", "micro_precision", "micro_recall", all without
        ``other``; "accuracy" over all directed labels with ``other``; "wrong_direction", the share of all examples
        whose relation is right and whose direction is not; and "RELATION/f1" for each relation in gold. All in [0, 1].

    Raises:
        ValueError: gold and predicted differ in number, or there are none.
    """
    if not gold:
        raise ValueError("no relations to score")
    table = relation_table(gold, predicted, other)
    pairs = list(zip(gold, predicted, strict=True))
    reversed_ones = sum(g != p and undirected(g) == undirected(p) for g, p in pairs)
    scores = {
        f"{average}_{name}": table[f"{average} avg"][key]
        for average in ("macro", "micro")
        for name, key in (("f1", "f1-score"), ("precision", "precision"), ("recall", "recall"))
    }
    scores["accuracy"] = sum(g == p for g, p in pairs) / len(pairs)
    scores["wrong_direction"] = reversed_ones / len(pairs)
    relations = (name for name in table if name not in ("micro avg", "macro avg"))
    return scores | {f"{name}/f1": table[name]["f1-score"] for name in relations}


def _scores(right: int, answers: int, support: int) -> dict[str, float]:
    return {
        "precision": right / answers if answers else 0.0,
        "recall": right / support if support else 0.0,
        "f1-score": 2 * right / (answers + support) if answers + support else 0.0,
        "support": float(support),
    }
