"""Label semantics: a head that scores an input against what the labels mean, in words.

Each label starts as the mean of its encoded description, examples and, for texts, labelled examples; the score is a
scaled cosine. At zero labels this classifies already, and fine-tuning goes on from there instead of from random weights
(as in prototypical networks, Snell et al. 2017, and label-aware few-shot tagging, Ma et al. 2022).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rag_lightning.model.pooling import masked_mean
from rag_lightning.tasks.spans import OUTSIDE

_AT_A_TIME = 64
_SHARPNESS = 20.0  # of the cosine at the start: cosines of sentence encoders lie close together


class SemanticHead(nn.Module):
    """Scaled cosine between an input and a vector for each label, with a bias.

    Args:
        vectors: (labels, width), the encoded meanings; a row of zeros is a label without meaning, such as O, whose
            score starts at its bias.
        bias: (labels,).
    """

    def __init__(self, vectors: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(vectors.clone())
        self.bias = nn.Parameter(bias.clone())
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS))

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, width) to (…, labels)."""
        meanings = F.normalize(self.weight, dim=-1, eps=1e-6)
        cosine = F.linear(F.normalize(hidden.float(), dim=-1), meanings)
        return self.sharpness * cosine + self.bias


def meanings_of(name: str, description: str, examples: Sequence[str]) -> list[str]:
    """What is encoded of a label: its name with the description, and each example by itself."""
    told = ". ".join(part for part in (name, description.rstrip(".")) if part)
    return [told, *examples]


def token_head(types: Sequence[str], labels: Sequence[str], meanings: Tensor, threshold: float) -> SemanticHead:
    """A head for tags: B-X and I-X start at the meaning of X, O at a constant score.

    Args:
        types: entity types in the order of ``meanings`` (types, width).
        labels: all tags, O among them.
        threshold: the cosine from which a type beats O.
    """
    vectors = torch.zeros(len(labels), meanings.shape[1])
    bias = torch.zeros(len(labels))
    for row, label in enumerate(labels):
        if label == OUTSIDE:
            bias[row] = _SHARPNESS * threshold
        else:
            vectors[row] = meanings[types.index(label[2:])]
    return SemanticHead(vectors, bias)


def text_head(meanings: Tensor) -> SemanticHead:
    """A head for texts: a label starts at its meaning (labels, width)."""
    return SemanticHead(meanings, torch.zeros(len(meanings)))


@torch.no_grad()
def mean_vectors(batches: Iterable[Mapping[str, Tensor]], backbone: nn.Module, n_labels: int) -> Tensor:
    """The mean direction of each label's texts, (labels, width), by the network as it is.

    Args:
        batches: ``input_ids``, ``attention_mask`` (rows, tokens) and ``labels`` (rows,), negative where there is none.
            A text counts by the mean of its last hidden states, scaled to length one.
        backbone: gives ``last_hidden_state``.
    """
    was_training = backbone.training
    backbone.eval()
    sums: Tensor | None = None
    for batch in batches:
        hidden = backbone(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        vectors = F.normalize(masked_mean(hidden.float(), batch["attention_mask"]), dim=-1)
        sums = torch.zeros(n_labels, vectors.shape[1]) if sums is None else sums
        labelled = batch["labels"] >= 0
        sums.index_add_(0, batch["labels"][labelled], vectors[labelled])
    backbone.train(was_training)
    assert sums is not None
    return F.normalize(sums, dim=-1)


def encoded_texts(
    tokenize: Callable[[Sequence[str]], Mapping[str, Tensor]], texts: Sequence[Sequence[str]]
) -> Iterable[Mapping[str, Tensor]]:
    """The texts of each label as batches for :func:`mean_vectors`."""
    pairs = [(text, label) for label, several in enumerate(texts) for text in several]
    for start in range(0, len(pairs), _AT_A_TIME):
        part = pairs[start : start + _AT_A_TIME]
        yield {**tokenize([text for text, _ in part]), "labels": torch.tensor([label for _, label in part])}
