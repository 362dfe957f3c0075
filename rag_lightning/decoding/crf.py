"""A linear-chain conditional random field (Lafferty, McCallum & Pereira 2001) over the scores of a token head."""

import torch
from torch import Tensor, nn

_IMPOSSIBLE = -1e9  # not infinite: its gradient would be no number


class LinearChainCRF(nn.Module):
    """Scores for a label at the first word and for each pair of neighbouring labels.

    Both begin at 0: the likelihood is then the product of each word's softmax, as without a CRF.

    Args:
        n_labels: how many labels there are.

    Attributes:
        start: (labels,).
        step: (labels, labels), from one word's label (row) to the next one's (column).
    """

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(n_labels))
        self.step = nn.Parameter(torch.zeros(n_labels, n_labels))

    def forward(self, emissions: Tensor, labels: Tensor, mask: Tensor, begins: Tensor) -> Tensor:
        """The log-likelihood of the labels of each row, by the forward algorithm.

        A word whose label is not known may have any: the likelihood is that of the known ones (Tsuboi et al. 2008).

        Args:
            emissions: (rows, words, labels).
            labels: (rows, words); negative where the label is not known. Where no word is, it is passed over.
            mask: (rows, words) bool: which words are there; each row's words stand at its beginning.
            begins: (rows,) bool: whether a row's first word is the first one of its text. Else it comes after words
                that another window answers for, and has no score for being the first.

        Returns:
            (rows,); 0 for a row without words.
        """
        start = torch.where(begins.unsqueeze(1), self.start, torch.zeros_like(self.start))
        others = torch.ones_like(emissions, dtype=torch.bool).scatter(2, labels.clamp(min=0).unsqueeze(2), False)
        gold = emissions.masked_fill(others & (labels >= 0).unsqueeze(2), _IMPOSSIBLE)
        scores = [forward_scores(given, mask, start, self.step)[:, -1] for given in (gold, emissions)]
        told, total = (torch.logsumexp(score, dim=-1) for score in scores)
        return torch.where(mask[:, 0], told - total, torch.zeros_like(total))


def forward_scores(emissions: Tensor, mask: Tensor, start: Tensor, step: Tensor) -> Tensor:
    """Log-sums over all labellings of the words up to each one, by that one's label.

    Args:
        emissions, mask, start, step: as for :func:`rag_lightning.decoding.viterbi.viterbi`.

    Returns:
        (rows, words, labels); after a row's last word its last values again.
    """
    score = emissions[:, 0] + start
    scores = [score]
    for word in range(1, emissions.shape[1]):
        grown = torch.logsumexp(score.unsqueeze(2) + step, dim=1) + emissions[:, word]
        score = torch.where(mask[:, word, None], grown, score)
        scores.append(score)
    return torch.stack(scores, dim=1)


def marginals(emissions: Tensor, mask: Tensor, start: Tensor, step: Tensor) -> Tensor:
    """The probability of each label of each word, all labellings of its row considered (forward-backward).

    Args:
        emissions, mask, start, step: as for :func:`rag_lightning.decoding.viterbi.viterbi`.

    Returns:
        (rows, words, labels); only meaningful where the mask is.
    """
    after = torch.zeros_like(emissions[:, 0])
    rests = [after]
    for word in range(emissions.shape[1] - 1, 0, -1):
        grown = torch.logsumexp(step + (emissions[:, word] + after).unsqueeze(1), dim=2)
        after = torch.where(mask[:, word, None], grown, after)
        rests.append(after)
    return torch.softmax(forward_scores(emissions, mask, start, step) + torch.stack(rests[::-1], dim=1), dim=-1)
