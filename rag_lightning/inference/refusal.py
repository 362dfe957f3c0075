"""When not to answer: how sure a classifier is of a text, and from which value on it answers.

A text that belongs to none of the labels gets one of them all the same. Three scores tell it from the others, each
higher where the text looks more like what the classifier knows:

* the highest softmax probability (Hendrycks & Gimpel 2017);
* the negative energy, the log of the summed exponentials of the logits (Liu et al. 2020);
* the nearness to a known text in an embedding (Sun et al. 2022).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from rag_lightning.data.records import Record
from rag_lightning.decoding.one_label import answered_once
from rag_lightning.errors import UserError
from rag_lightning.inference.lookup import nearest
from rag_lightning.tasks.task import OutputKind

Floats = npt.NDArray[np.floating[Any]]
LOGITS = "logits"


def with_logits(output: OutputKind) -> OutputKind:
    """The output kind of one label for a text, whose predictions hold ``logits`` (labels,) too.

    The rounded probabilities that people read cannot tell apart the texts of which a model is most sure.
    """

    def decode(logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
        return {**output.decode(logits, batch), LOGITS: logits.float().cpu().numpy()}

    def assemble(
        records: Sequence[Record], decoded: Sequence[dict[str, Any]], labels: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        found = answered_once(records, decoded, {LOGITS: len(labels)})[LOGITS]
        answers = output.assemble(records, decoded, labels)
        return [{**answer, LOGITS: row} for answer, row in zip(answers, found, strict=True)]

    return replace(output, decode=decode, assemble=assemble)


def highest_probability(logits: Floats) -> Floats:
    """The highest softmax probability of each row (Hendrycks & Gimpel 2017), as its log-odds.

    The order is the same, and probabilities that all round to 1 stay apart.

    Args:
        logits: (texts, labels), at least two labels.
    """
    ordered = np.sort(logits, axis=1)
    return np.asarray(ordered[:, -1] - log_sum(ordered[:, :-1]))


def log_sum(logits: Floats) -> Floats:
    """log Σ exp of each row: the negative energy at temperature 1 (Liu et al. 2020).

    Args:
        logits: (texts, labels).
    """
    highest = logits.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)))


def nearness(vectors: Floats, known: Floats, k: int = 1) -> Floats:
    """The cosine to the ``k``-th nearest known text (Sun et al. 2022: of unit vectors it orders as the distance does).

    Args:
        vectors: (texts, width) unit vectors.
        known: (known texts, width), at least ``k``.
        k: which neighbour counts.
    """
    return nearest(vectors, known, k).cosines[:, -1]


def threshold_at(scores: Floats, share: float) -> float:
    """The highest value below which lie at most ``share`` of the scores: what has less is refused.

    Args:
        scores: (texts,) of validation texts that ought to be answered.
        share: of them that may be refused by mistake, in [0, 1).

    Raises:
        UserError: no scores, or another share.
    """
    if not 0 <= share < 1:
        raise UserError(f"the share {share} is not in [0, 1)", where="refuse", remedy="0.05 refuses one in twenty.")
    if not len(scores):
        raise UserError("there is no validation text to choose a threshold by", where="data", remedy="Give some.")
    return float(np.sort(scores)[int(np.floor(share * len(scores)))])


def detection(inside: Floats, outside: Floats) -> dict[str, float]:
    """How well a score tells the texts to be answered (positives) from the others.

    Returns:
        ``auroc``; ``fpr95``, the share of the others that are answered where 95% of the positives are.
    """
    from sklearn.metrics import roc_auc_score

    scores = np.concatenate([inside, outside])
    truth = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    threshold = threshold_at(inside, 0.05)
    return {"auroc": float(roc_auc_score(truth, scores)), "fpr95": float(np.mean(outside >= threshold))}


def risk_coverage(scores: Floats, right: Sequence[bool] | npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The share of wrong answers among the answered, from the surest text alone to all (Geifman & El-Yaniv 2017).

    Texts of equal score are answered together.

    Args:
        scores: (texts,).
        right: (texts,), whether the answer would be right; of a text that ought to be refused it never is.

    Returns:
        coverage: shares of texts that are answered, rising to 1; risk: the shares of them that are wrong.
    """
    order = np.argsort(-scores, kind="stable")
    wrong = np.cumsum(~np.asarray(right, dtype=bool)[order])
    answered = np.arange(1, len(order) + 1)
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    return answered[last_of_equals] / len(order), (wrong / answered)[last_of_equals]


def area_under(coverage: Floats, risk: Floats) -> float:
    """The mean risk over all coverages (AURC); lower is better."""
    return float(np.sum(risk * np.diff(coverage, prepend=0.0)))
