"""Which words at a mask stand for which label (Schick and Schütze 2021, "Exploiting cloze questions").

Several words of a label, and the sub-tokens of a word, are averaged in log-space. What the model would answer to an
input without content is taken out of the scores: contextual calibration (Zhao et al. 2021, "Calibrate before use").
No import of torch: the functions take whatever indexes and multiplies like an array.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag_lightning.errors import UserError, nearest
from rag_lightning.template.wording import LabelWords

# Instead of an example, for calibration. Zhao et al. also show a mask, which would be a second one here.
CONTENT_FREE = ("N/A", "…", "")
_WHERE = "template.verbalizer"


@dataclass(frozen=True)
class Verbalizer:
    """Word ids of the labels and what each contributes.

    Attributes:
        ids: (words,) ids in the vocabulary, each once.
        weights: (words, labels); a column sums to 1, so that a label's score is a mean of log-probabilities (up to
            a constant that all labels of an input share).
        prior: (labels,) log-probabilities for inputs without content, taken off the scores; zeros: no calibration.
    """

    ids: np.ndarray
    weights: np.ndarray
    prior: np.ndarray

    def to_json(self) -> dict[str, list[Any]]:
        """As JSON-ready data, to be kept with the model."""
        return {"ids": self.ids.tolist(), "weights": self.weights.tolist(), "prior": self.prior.tolist()}

    @classmethod
    def from_json(cls, saved: Mapping[str, list[Any]]) -> "Verbalizer":
        """What :meth:`to_json` gave."""
        ids = np.array(saved["ids"], dtype=np.int64)
        return cls(ids, np.array(saved["weights"], dtype=np.float32), np.array(saved["prior"], dtype=np.float32))

    def calibrated(self, log_probabilities: np.ndarray) -> "Verbalizer":
        """With the prior of these (inputs, labels) log-probabilities of content-free inputs.

        As in Zhao et al. the *probabilities* are averaged over the inputs.
        """
        mean = np.exp(log_probabilities).mean(axis=0)
        return Verbalizer(self.ids, self.weights, np.log(mean / mean.sum()).astype(np.float32))


def words_of_labels(
    labels: Sequence[str], given: Mapping[str, Sequence[str]] | None, names: Mapping[str, LabelWords]
) -> dict[str, tuple[str, ...]]:
    """The words of each label, in the order of the labels: those given, else its name in words.

    Raises:
        UserError: for a label that does not exist, one without words, or one word for two labels.
    """
    given = given or {}
    for label in given:
        if label not in labels:
            close = nearest(label, list(labels))
            raise UserError(
                f"there is no label {label!r}; there are: {', '.join(labels)}",
                where=f"{_WHERE}.{label}",
                remedy=f"Did you mean {close[0]!r}?" if close else "Name the labels as the data do.",
            )
    words = {
        label: tuple(given[label]) if label in given else (names[label].name if label in names else label,)
        for label in labels
    }
    owner: dict[str, str] = {}
    for label, ones in words.items():
        if not ones or not all(word.strip() for word in ones):
            raise UserError("a label needs at least one word", where=f"{_WHERE}.{label}", remedy="Write one or more.")
        for word in ones:
            if owner.setdefault(word, label) != label:
                raise UserError(
                    f"{word!r} stands for {owner[word]!r} and for {label!r}",
                    where=f"{_WHERE}.{label}",
                    remedy="Give each label words of its own.",
                )
    return words


def make_verbalizer(
    words: Mapping[str, Sequence[str]], encode: Callable[[list[list[str]]], list[list[list[int]]]], unknown: int | None
) -> Verbalizer:
    """The verbalizer of a tokenizer's vocabulary.

    Args:
        words: label -> words, in the order of the labels; a word may be several (``"New York"``).
        encode: lists of words -> for each the sub-token ids of each word (``WordEncoder.encode``).
        unknown: the id of the unknown token.

    Raises:
        UserError: for a word that the vocabulary does not have, or labels that it cannot tell apart.
    """
    flat = [(label, word) for label, ones in words.items() for word in ones]
    encoded = encode([word.split() for _, word in flat])
    labels = list(words)
    contributions: list[dict[int, float]] = [{} for _ in labels]
    for (label, word), pieces in zip(flat, encoded, strict=True):
        tokens = [token for piece in pieces for token in piece]
        if unknown is not None and unknown in tokens:
            raise UserError(
                f"the backbone's vocabulary has no {word!r}",
                where=f"{_WHERE}.{label}",
                remedy="Choose another word, or a backbone that was trained on this language.",
            )
        for token in tokens:
            share = 1 / (len(words[label]) * len(tokens))
            of_label = contributions[labels.index(label)]
            of_label[token] = of_label.get(token, 0.0) + share
    for second, own in enumerate(contributions):
        if (first := contributions.index(own)) < second:
            raise UserError(
                f"{labels[first]!r} and {labels[second]!r} are the same tokens to this backbone",
                where=f"{_WHERE}.{labels[second]}",
                remedy="Give each label words of its own (an uncased backbone does not see capitals).",
            )
    ids = sorted({token for each in contributions for token in each})
    weights = np.array([[each.get(token, 0.0) for each in contributions] for token in ids], dtype=np.float32)
    return Verbalizer(np.array(ids, dtype=np.int64), weights, np.zeros(len(labels), dtype=np.float32))


def label_scores(logits: Any, ids: Any, weights: Any, prior: Any) -> Any:
    """Scores of labels; their softmax is each label's calibrated probability.

    Args:
        logits: (rows, vocabulary) at the masks.
        ids, weights, prior: of the :class:`Verbalizer`, as arrays of the same library.

    Returns:
        (rows, labels).
    """
    return logits[:, ids] @ weights - prior
