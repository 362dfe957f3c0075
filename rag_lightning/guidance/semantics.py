"""Label semantics: a head that scores an input against what the labels mean, in words.

Each label starts as the encoded text of its name, description and examples; the score is a scaled cosine. At zero
labels this classifies already, and fine-tuning goes on from there instead of from random weights (as in
prototypical networks, Snell et al. 2017, and label-aware few-shot tagging, Ma et al. 2022).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rag_lightning.model.pooling import masked_mean

OUTSIDE = "O"
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


def meaning(name: str, description: str, examples: Sequence[str]) -> str:
    """A label in one text, as it is encoded."""
    parts = [name, description.rstrip(".")]
    if examples:
        parts.append("such as " + ", ".join(examples))
    return ". ".join(part for part in parts if part)


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
def encode_meanings(
    encode: Callable[[Sequence[str]], dict[str, Tensor]], backbone: nn.Module, texts: Sequence[str]
) -> Tensor:
    """Mean of the last hidden states over the tokens of each text, (texts, width), by the network as it is.

    Args:
        encode: texts to ``input_ids`` and ``attention_mask``, padded.
        backbone: gives ``last_hidden_state``.
    """
    was_training = backbone.training
    backbone.eval()
    batch = encode(texts)
    hidden = backbone(**batch).last_hidden_state.float()
    backbone.train(was_training)
    return masked_mean(hidden, batch["attention_mask"])
