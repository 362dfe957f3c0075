"""The best sequence of labels (Viterbi 1967), for many sequences at once."""

import torch
from torch import Tensor

FORBIDDEN = -1e6  # finite, so that sequences in which everything is forbidden still have a best labelling


def penalties(allowed: Tensor) -> Tensor:
    """Scores to add: 0 where allowed, else what no sequence of likely labels can make up for."""
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, FORBIDDEN)


def viterbi(emissions: Tensor, mask: Tensor, start: Tensor, step: Tensor) -> Tensor:
    """The labels with the highest sum of scores.

    Args:
        emissions: (rows, words, labels), the score of each label of each word.
        mask: (rows, words) bool: which words are there; each row's words stand at its beginning.
        start: (labels,) or (rows, labels), added at the first word.
        step: (labels, labels), added from one word's label (row) to the next one's (column).

    Returns:
        (rows, words) int64; 0 where no word is.
    """
    score = emissions[:, 0] + start
    pointers = []
    for word in range(1, emissions.shape[1]):
        best, before = (score.unsqueeze(2) + step).max(dim=1)
        score = torch.where(mask[:, word, None], best + emissions[:, word], score)
        pointers.append(before)
    label = score.argmax(dim=1)
    path = [label]
    for word in range(emissions.shape[1] - 1, 0, -1):
        previous = pointers[word - 1].gather(1, label.unsqueeze(1)).squeeze(1)
        label = torch.where(mask[:, word], previous, label)
        path.append(label)
    return torch.stack(path[::-1], dim=1).masked_fill(~mask, 0)
